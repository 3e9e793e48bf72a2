# `cmake --install` and the Debian package. The program picks its kernels at run time, so one
# package runs on every x86-64 machine.
include(GNUInstallDirs)
install(FILES ${PROJECT_SOURCE_DIR}/README.md ${PROJECT_SOURCE_DIR}/LICENSE
        DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME llmrun)
set(CPACK_PACKAGE_VENDOR "The llmrun developers")
set(CPACK_PACKAGE_CONTACT "The llmrun developers <llmrun@users.noreply.github.com>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Runs large language models on your own machine")
set(CPACK_DEBIAN_PACKAGE_SECTION utils)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "python3-pip")  # fetches models that live in Python packages
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_STRIP_FILES ON)
include(CPack)
