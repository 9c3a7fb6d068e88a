# The one dependency rule, core <- shard <- io <- main: fails on an include against an arrow, and on
# what core must not know at all.  cmake -DSOURCE_DIR=... -P tests/house/includes.cmake
set(faults "")

# No line of the folder's files may match.
function(forbid folder pattern reason)
  file(GLOB_RECURSE sources ${SOURCE_DIR}/src/${folder}/*.h ${SOURCE_DIR}/src/${folder}/*.cc)
  if(NOT sources)
    message(FATAL_ERROR "no source in src/${folder}: the rule would hold for nothing")
  endif()
  foreach(source ${sources})
    if(source MATCHES "/core/base/large_memory\\.cc$")
      continue()  # memory, of the system instead of malloc
    endif()
    file(STRINGS ${source} lines REGEX "${pattern}")
    foreach(line ${lines})
      string(APPEND faults "\n  ${source}: ${line}  (${reason})")
    endforeach()
  endforeach()
  set(faults "${faults}" PARENT_SCOPE)
endfunction()

set(include "^[ \t]*#[ \t]*include[ \t]*[<\"]")
forbid(core "${include}(shard|io)/" "core includes core only")
forbid(shard "${include}io/" "shard includes core and shard only")
forbid(core "${include}(thread|mutex|condition_variable|future|iostream|fstream|cstdio)>"
  "core has no thread, input or output")
forbid(core "${include}(unistd|pthread|time|sys/[a-z]+|pcap/pcap)\\.h" "core does not know the system")
forbid(core "(_clock::now|clock_gettime|gettimeofday)" "core takes time as an argument")
forbid(io "${include}(\\.\\./|tests/|bench/)" "io includes core, shard and io only")

if(faults)
  message(FATAL_ERROR "includes against the rule core <- shard <- io <- main:${faults}")
endif()
