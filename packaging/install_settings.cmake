# What `cmake --install` puts where the prefix says: configuration, unit, log rotation, and the
# completion for zsh. PACKAGING is this folder. Under the prefix /usr settings belong into /etc, else
# into PREFIX/etc.

if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
  set(etc /etc)
else()
  set(etc "${CMAKE_INSTALL_PREFIX}/etc")
endif()

# What the administrator has written stays.
set(config "$ENV{DESTDIR}${etc}/tcp-sniffer/config.json")
if(EXISTS "${config}")
  message(STATUS "Kept: ${config}")
else()
  file(INSTALL "${PACKAGING}/config.json" DESTINATION "${etc}/tcp-sniffer")
endif()

file(INSTALL "${PACKAGING}/logrotate" DESTINATION "${etc}/logrotate.d" RENAME tcp-sniffer)

# Not in lib64, where systemd does not look.
set(unit "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/lib/systemd/system/tcp-sniffer.service")
file(READ "${PACKAGING}/tcp-sniffer.service" text)
string(REPLACE "/usr/bin/" "${CMAKE_INSTALL_PREFIX}/bin/" text "${text}")
string(REPLACE "/etc/tcp-sniffer/" "${etc}/tcp-sniffer/" text "${text}")
message(STATUS "Installing: ${unit}")
file(WRITE "${unit}" "${text}")
file(CHMOD "${unit}" PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
list(APPEND CMAKE_INSTALL_MANIFEST_FILES
  "${CMAKE_INSTALL_PREFIX}/lib/systemd/system/tcp-sniffer.service")

# Debian's zsh does not look into site-functions under /usr.
if(CMAKE_INSTALL_PREFIX STREQUAL "/usr" AND EXISTS /etc/debian_version)
  set(zsh_folder vendor-completions)
else()
  set(zsh_folder site-functions)
endif()
file(INSTALL "${ZSH_COMPLETION}" RENAME _tcp-sniffer
  DESTINATION "${CMAKE_INSTALL_PREFIX}/${DATA_FOLDER}/zsh/${zsh_folder}")
