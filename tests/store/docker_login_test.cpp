// Logins that `docker login` left: which host they are for, and what is no login.
#include "store/docker_login.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/temporary_folder.h"
#include "text_file.h"

namespace llmrun::store {
namespace {

class DockerLogin : public ::testing::Test {
 protected:
  DockerLogin() {
    unsetenv("REGISTRY_AUTH_FILE");
    setenv("DOCKER_CONFIG", folder_.path().c_str(), 1);
  }
  ~DockerLogin() override { unsetenv("DOCKER_CONFIG"); }

  std::string login(const char* registry, const std::string& file) {
    write_text(folder_.path() + "/config.json", file);
    return docker_login(*parse_url(registry));
  }

  test::TemporaryFolder folder_;
};

TEST_F(DockerLogin, IsOfTheHostAndItsPort) {
  const auto file = [](const char* key) {
    return std::string(R"({"auths":{")") + key + R"(":{"auth":"bWU6eA=="}}})";
  };
  const std::string found = "Basic bWU6eA==";
  EXPECT_EQ(login("https://host.example", file("host.example")), found);
  EXPECT_EQ(login("https://host.example", file("https://Host.Example/v1/")), found);
  EXPECT_EQ(login("https://host.example", file("host.example:443")), found);
  EXPECT_EQ(login("http://host.example:5000", file("host.example:5000")), found);
  EXPECT_EQ(login("http://host.example:5000", file("host.example")), "");
  EXPECT_EQ(login("https://host.example", file("host.example:5000")), "");
  EXPECT_EQ(login("https://host.example", file("host.example.org")), "");
  EXPECT_EQ(login("https://host.example", file("xhost.example")), "");
}

TEST_F(DockerLogin, IsNothingInAFileThatMakesNoSense) {
  EXPECT_EQ(docker_login(*parse_url("https://h")), "");  // there is no file
  for (const char* file :
       {"", "x", "[]", "7", "{}", R"({"auths":[]})", R"({"auths":{"h":7}})",
        R"({"auths":{"h":{}}})", R"({"auths":{"h":{"auth":7}}})", R"({"auths":{"h":{"auth":""}}})",
        R"({"auths":{"h":{"auth":"a b"}}})", R"({"auths":{"h":{"auth":"YQ==\r\nX: y"}}})"}) {
    EXPECT_EQ(login("https://h", file), "") << file;
  }
}

}  // namespace
}  // namespace llmrun::store
