# bash completion for tcp-sniffer(1). The flags and their words come from the program's own help, so
# that they are those of the version installed.

_tcp_sniffer() {
  local program=$1 current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  COMPREPLY=()
  case $previous in
    -i | --interface)
      mapfile -t COMPREPLY < <(compgen -W \
        "$("$program" --list-interfaces 2>/dev/null | awk '{ print $1 }')" -- "$current")
      return
      ;;
    -r | --files | --config | -o | --output | --debug-log)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
      return
      ;;
    --extract-dir)
      compopt -o filenames 2>/dev/null
      mapfile -t COMPREPLY < <(compgen -d -- "$current")
      return
      ;;
    --user)
      mapfile -t COMPREPLY < <(compgen -u -- "$current")
      return
      ;;
  esac
  if [[ $current == -* ]]; then
    # --[no-]tunnels stands for both.
    mapfile -t COMPREPLY < <(compgen -W "$("$program" --help 2>/dev/null |
      grep -oE '^ +(-[a-zA-Z], )?--[][a-z-]+' | grep -oE -- '--[][a-z-]+' |
      sed -n 's/^--\[no-\]\(.*\)/--\1 --no-\1/p; /\[/!p')" -- "$current")
    return
  fi
  # The words of a flag with a value: (block|drop).
  if [[ $previous == --* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$("$program" --help 2>/dev/null |
      awk -v flag="$previous" '
        $1 == flag { inside = 1; text = $0; next }
        inside && /^ +(-[a-zA-Z], )?--/ { exit }
        inside { text = text " " $0 }
        END { if (match(text, /\([a-z0-9]+(\|[a-z0-9]+)+\)/))
                { words = substr(text, RSTART + 1, RLENGTH - 2); gsub(/\|/, " ", words); print words } }'
      )" -- "$current")
    return
  fi
  # A word without a flag is a capture file, or a filter.
  compopt -o filenames 2>/dev/null
  mapfile -t COMPREPLY < <(compgen -f -- "$current")
}
complete -F _tcp_sniffer tcp-sniffer
