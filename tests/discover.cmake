# Read by ctest when it begins: every suite of every test program becomes the test PROGRAM.SUITE. The
# tests of a suite run one after the other in one process, because most of them take less time than
# a process needs to begin. tests/CMakeLists.txt writes what sets the variables.

cmake_minimum_required(VERSION 3.25)

# A test takes as many of ctest's places as its PROCESSORS say. tools/test.sh gives two places for each
# processor (ctest --parallel): a test takes two of them, and one that mostly waits takes one.
set(waits "^e2e_test\\.(Service|LiveLifecycle|LiveParts|StuckThread)$")
# What takes longest begins first. NAME SECONDS, of one processor.
set(long
  e2e_test.Service 50 e2e_test.Of/Corpus 45 e2e_test.LiveLifecycle 40 e2e_test.Packed/SaysTheSame 35
  e2e_test.LiveParts 20 e2e_test.StuckThread 20 e2e_test.Pcaps/EveryCaptureWhere 20
  e2e_test.Formats/BrokenInput 18 core_tcp_test.ReorderBufferModel 16 shard_test.HttpStreams 15
  e2e_test.Pcaps/RandomLoss 15 e2e_test.RequestMetrics 12 e2e_test.Shells/Completion 11
  e2e_test.Kafka 10 e2e_test.Faults 10 e2e_test.Keys/KeyRange 10 e2e_test.LiveKeyRanges 9)

foreach(program IN LISTS TEST_PROGRAMS)
  set(file "${TEST_PROGRAMS_FOLDER}/${program}")
  if(NOT EXISTS "${file}")
    add_test("${program}_NOT_BUILT" "${program}_NOT_BUILT")
    continue()
  endif()
  execute_process(COMMAND "${file}" --gtest_list_tests OUTPUT_VARIABLE listed RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    add_test("${program}_CANNOT_BE_LISTED" "${file}" --gtest_list_tests)
    continue()
  endif()
  # The name of a suite begins a line and ends with a dot.
  string(REGEX MATCHALL "(^|\n)[A-Za-z0-9_/]+\\." suites "${listed}")
  foreach(suite IN LISTS suites)
    string(REGEX REPLACE "[\n.]" "" suite "${suite}")
    set(name "${program}.${suite}")
    set(places 2)
    if(name MATCHES "${waits}")
      set(places 1)
    endif()
    set(cost 1)
    list(FIND long "${name}" at)
    if(NOT at EQUAL -1)
      math(EXPR at "${at} + 1")
      list(GET long ${at} cost)
    endif()
    add_test("${name}" "${file}" "--gtest_filter=${suite}.*" --gtest_brief=1 --exit-77-when-skipped)
    set_tests_properties("${name}" PROPERTIES WORKING_DIRECTORY "${TEST_PROGRAMS_FOLDER}"
      PROCESSORS ${places} COST ${cost} TIMEOUT 1800 SKIP_RETURN_CODE 77)
    if(program IN_LIST TEST_PROGRAMS_ALONE)
      set_tests_properties("${name}" PROPERTIES RUN_SERIAL ON)
    endif()
  endforeach()
endforeach()
