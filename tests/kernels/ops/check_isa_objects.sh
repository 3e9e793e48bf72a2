#!/bin/sh
# check_isa_objects.sh NM ARCHIVE COUNT: the COUNT objects of ARCHIVE that are compiled for a CPU
# target define no weak symbol and export one table each. A weak function compiled with AVX-512
# could be chosen by the linker for the whole program, which would then crash on older CPUs.
set -eu
"$1" "$2" | awk -v expected="$3" '
  /\.o:$/ {
    object = $0
    inside = object ~ /^(matmul|rows|attention|recurrent)_[a-z0-9]+\.cpp\.o:$/
    if (inside) { objects++; exported[object] = 0 }
    next
  }
  inside && NF >= 2 {
    type = $(NF - 1)
    if (type ~ /^[VWuvw]$/) { print "weak symbol in " object " " $NF; bad = 1 }
    if (type ~ /^[TDRBCGS]$/) exported[object]++
  }
  END {
    if (objects != expected) { print "found " objects + 0 " objects, expected " expected; bad = 1 }
    for (object in exported) {
      if (exported[object] != 1) { print object " exports " exported[object] " symbols"; bad = 1 }
    }
    if (!bad) print objects " objects: no weak symbol, one export each"
    exit bad
  }'
