# The documented keys, or fields, are those that the program prints: between the two markers of
# DOCUMENT stands `tcp-sniffer --help-NAME-markdown`.
#   cmake -DPROGRAM=... -DNAME=keys -DDOCUMENT=... -P tests/house/documented_keys.cmake
execute_process(COMMAND ${PROGRAM} --help-${NAME}-markdown OUTPUT_VARIABLE table
  COMMAND_ERROR_IS_FATAL ANY)
file(READ ${DOCUMENT} document)
set(expected "<!-- ${NAME}:begin -->\n${table}<!-- ${NAME}:end -->")
string(FIND "${document}" "${expected}" found)
if(found EQUAL -1)
  message(FATAL_ERROR "${DOCUMENT} does not hold the output of --help-${NAME}-markdown between "
    "<!-- ${NAME}:begin --> and <!-- ${NAME}:end -->: run tools/update-docs.sh")
endif()
