# The README's table of keys is the one that the program prints: between the two markers stands
# `tcp-sniffer --help-keys-markdown`.  cmake -DPROGRAM=... -DREADME=... -P tests/house/readme_keys.cmake
execute_process(COMMAND ${PROGRAM} --help-keys-markdown OUTPUT_VARIABLE table
  COMMAND_ERROR_IS_FATAL ANY)
file(READ ${README} readme)
set(expected "<!-- keys:begin -->\n${table}<!-- keys:end -->")
string(FIND "${readme}" "${expected}" found)
if(found EQUAL -1)
  message(FATAL_ERROR "README.md does not hold the output of --help-keys-markdown between "
    "<!-- keys:begin --> and <!-- keys:end -->: run tools/update-readme.sh")
endif()
