# The documented keys are those that the program prints: between the two markers of
# docs/configuration.md stands `tcp-sniffer --help-keys-markdown`.
#   cmake -DPROGRAM=... -DDOCUMENT=... -P tests/house/documented_keys.cmake
execute_process(COMMAND ${PROGRAM} --help-keys-markdown OUTPUT_VARIABLE table
  COMMAND_ERROR_IS_FATAL ANY)
file(READ ${DOCUMENT} document)
set(expected "<!-- keys:begin -->\n${table}<!-- keys:end -->")
string(FIND "${document}" "${expected}" found)
if(found EQUAL -1)
  message(FATAL_ERROR "${DOCUMENT} does not hold the output of --help-keys-markdown between "
    "<!-- keys:begin --> and <!-- keys:end -->: run tools/update-docs.sh")
endif()
