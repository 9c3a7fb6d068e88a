# What tests/CMakeLists.txt tests beside its own programs, and how under sanitizers.

if(TCP_SNIFFER_SANITIZE MATCHES undefined)
  # In the tests' own code, not in the library's: checks of every access through a pointer, which
  # the address sanitizer makes as well and which double the time to compile the expectations.
  add_compile_options(-fno-sanitize=alignment,null,object-size,vptr)
endif()

if(TCP_SNIFFER_SANITIZE STREQUAL thread)
  # Under the thread sanitizer only what has more than one thread: the programs that start threads
  # or tcp-sniffer itself.
  foreach(source ${TEST_SOURCES})
    file(STRINGS ${source} threads LIMIT_COUNT 1
      REGEX "#include (<thread>|\"support/(run_program|run_engine|live_lab)\\.h\"|\"shard/shard_thread\\.h\")|TCP_SNIFFER_BINARY")
    # What needs its threads least and its time most: memory, and hundreds of damaged captures.
    if(NOT threads OR source MATCHES "/(limits|loss_random)_test\\.cc$")
      list(REMOVE_ITEM TEST_SOURCES ${source})
    endif()
  endforeach()
  return()
endif()

add_test(NAME include_rule COMMAND ${CMAKE_COMMAND} -DSOURCE_DIR=${PROJECT_SOURCE_DIR}
  -P ${CMAKE_CURRENT_SOURCE_DIR}/house/includes.cmake)
# Shows that the check can fail: of two folders one includes what its list does not have.
set(broken ${CMAKE_CURRENT_BINARY_DIR}/broken_includes)
file(WRITE ${broken}/src/core/low/README.md "Includes: nothing\n")
file(WRITE ${broken}/src/core/low/example.h "#include \"core/high/example.h\"\n")
file(WRITE ${broken}/src/core/high/README.md "Includes: core/low\n")
file(WRITE ${broken}/src/core/high/example.h "#include \"core/low/example.h\"\n")
add_test(NAME include_rule_notices_a_fault COMMAND ${CMAKE_COMMAND} -DSOURCE_DIR=${broken}
  -P ${CMAKE_CURRENT_SOURCE_DIR}/house/includes.cmake)
set_tests_properties(include_rule_notices_a_fault PROPERTIES
  PASS_REGULAR_EXPRESSION "core/low may not include core/high")

add_test(NAME format COMMAND ${PROJECT_SOURCE_DIR}/tools/format.sh --check)
add_test(NAME format_check_notices_a_fault
  COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/house/format_check_notices_a_fault.sh
    ${CMAKE_CURRENT_BINARY_DIR}/wrong_format)
set_tests_properties(format format_check_notices_a_fault PROPERTIES SKIP_RETURN_CODE 77)
set_tests_properties(format PROPERTIES PROCESSORS 2 COST 15)

# PROCESSORS counts ctest's places, two for each processor: see discover.cmake.
cmake_host_system_information(RESULT cpus QUERY NUMBER_OF_LOGICAL_CORES)
math(EXPR places "2 * ${cpus}")
if(NOT TCP_SNIFFER_SANITIZE)
  # On half of the processors, beside other tests.
  math(EXPR tidy_jobs "(${cpus} + 1) / 2")
  math(EXPR tidy_places "2 * ${tidy_jobs}")
  add_test(NAME tidy
    COMMAND ${PROJECT_SOURCE_DIR}/tools/tidy.py -p ${PROJECT_BINARY_DIR} -j ${tidy_jobs})
  add_test(NAME tidy_notices_a_fault
    COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/house/tidy_notices_a_fault.sh
      ${CMAKE_CURRENT_BINARY_DIR}/suspicious)
  set_tests_properties(tidy PROPERTIES PROCESSORS ${tidy_places} COST 900 TIMEOUT 1800)
  set_tests_properties(tidy tidy_notices_a_fault PROPERTIES SKIP_RETURN_CODE 77)
endif()

add_test(NAME documents_list_every_key COMMAND ${CMAKE_COMMAND} -DPROGRAM=$<TARGET_FILE:tcp-sniffer>
  -DNAME=keys -DDOCUMENT=${PROJECT_SOURCE_DIR}/docs/configuration.md
  -P ${CMAKE_CURRENT_SOURCE_DIR}/house/documented_keys.cmake)
add_test(NAME documents_list_every_field COMMAND ${CMAKE_COMMAND} -DPROGRAM=$<TARGET_FILE:tcp-sniffer>
  -DNAME=fields -DDOCUMENT=${PROJECT_SOURCE_DIR}/docs/fields.md
  -P ${CMAKE_CURRENT_SOURCE_DIR}/house/documented_keys.cmake)

set(documents_check python3 ${CMAKE_CURRENT_SOURCE_DIR}/house/documents.py)
add_test(NAME documents_show_what_works
  COMMAND ${documents_check} ${PROJECT_SOURCE_DIR} $<TARGET_FILE:tcp-sniffer>)
# Shows that the check can fail: by a command, a flag, an output, a folder's files, a link, and what it
# need not run.
set(broken ${CMAKE_CURRENT_BINARY_DIR}/broken_documents)
file(WRITE ${broken}/README.md "\
[nowhere](docs/gone.md) `--no-such-flag`\n```sh\nfalse\necho one # and more\n```\n\n```\ntwo\n```\n")
file(WRITE ${broken}/tools/ts/README.md "")
file(WRITE ${broken}/tools/ts/src/README.md "")
file(WRITE ${broken}/src/core/README.md "| `gone` | what is not there |\n")
file(WRITE ${broken}/src/core/new.h "")
add_test(NAME documents_check_notices_faults
  COMMAND ${documents_check} ${broken} $<TARGET_FILE:tcp-sniffer>)
string(JOIN ".*" noticed "ends with 1: false" "something else than is shown: echo one"
  "flag: --no-such-flag" "does not say what new.h is for" "names gone, which is not there"
  "leads nowhere: docs/gone.md" "no document has it any more: tools/test.sh")
set_tests_properties(documents_check_notices_faults PROPERTIES PASS_REGULAR_EXPRESSION "${noticed}")
add_test(NAME documents_have_the_picture_of_today
  COMMAND ${PROJECT_SOURCE_DIR}/tools/terminal-picture.py $<TARGET_FILE:tcp-sniffer> --check)

# A rotating tcpdump beside nginx, followed: every exchange, once.
if(NOT TCP_SNIFFER_SANITIZE)
  add_test(NAME follow_beside_tcpdump
    COMMAND ${PROJECT_SOURCE_DIR}/bench/follow.py ${PROJECT_BINARY_DIR} 12 300 3)
  set_tests_properties(follow_beside_tcpdump PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 120 COST 17)
endif()

# What docs/fleet.md shows, and what comes out of a real Kafka when its brokers fail.
if(NOT TCP_SNIFFER_SANITIZE)
  add_test(NAME fleet_document COMMAND ${PROJECT_SOURCE_DIR}/tools/kafka/document.py
    ${PROJECT_SOURCE_DIR} $<TARGET_FILE:tcp-sniffer>)
  add_test(NAME kafka_faults
    COMMAND ${PROJECT_SOURCE_DIR}/tools/kafka/faults.py ${PROJECT_BINARY_DIR})
  # The longest of all tests, so it begins first.
  set_tests_properties(kafka_faults PROPERTIES COST 1000)
  set_tests_properties(fleet_document PROPERTIES COST 30)
  set_tests_properties(fleet_document kafka_faults PROPERTIES TIMEOUT 1800 SKIP_RETURN_CODE 77)
endif()

# As tools/test.sh calls it in the release build: `ctest -C full` also runs the TypeScript package's
# tests, `ctest -C ci` those and the fuzz targets, `ctest -C sanitizers` those and the suites of the
# sanitizer builds beside it, which must have been built. One summary for all.
if(NOT TCP_SNIFFER_SANITIZE)
  foreach(preset asan-ubsan tsan)
    add_test(NAME suite.${preset} CONFIGURATIONS sanitizers
      COMMAND ${CMAKE_CTEST_COMMAND} --preset ${preset} --no-tests=error --parallel ${places}
      WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
    set_tests_properties(suite.${preset} PROPERTIES RUN_SERIAL TRUE TIMEOUT 1800)
  endforeach()
  add_test(NAME suite.typescript CONFIGURATIONS full ci sanitizers
    COMMAND ${PROJECT_SOURCE_DIR}/tools/ts/run-tests.sh)
  set_tests_properties(suite.typescript PROPERTIES
    ENVIRONMENT TCP_SNIFFER_BINARY=$<TARGET_FILE:tcp-sniffer> PROCESSORS 2 COST 800 TIMEOUT 1800)
  # Last, so that what it finds stands in front of the summary.
  add_test(NAME suite.fuzz CONFIGURATIONS sanitizers COMMAND ${PROJECT_SOURCE_DIR}/tools/fuzz.sh 20s)
  set_tests_properties(suite.fuzz PROPERTIES RUN_SERIAL TRUE TIMEOUT 1800 LABELS fuzz
    DEPENDS "suite.asan-ubsan;suite.tsan;suite.typescript")
  # Takes the time of the processors that the other tests leave.
  add_test(NAME suite.fuzz_for_a_minute CONFIGURATIONS ci
    COMMAND nice -n 19 ${PROJECT_SOURCE_DIR}/tools/fuzz.sh 60s)
  set_tests_properties(suite.fuzz_for_a_minute PROPERTIES
    ENVIRONMENT "TCP_SNIFFER_FUZZ_JOBS=1;TCP_SNIFFER_FUZZ_SEED=1" COST 2000 TIMEOUT 3600 LABELS fuzz)
endif()
