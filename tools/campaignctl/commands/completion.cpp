#include <map>

#include "tools/campaignctl/command.hpp"

namespace cx::ctl {
namespace {

// The scripts know nothing of the commands: each asks `campaignctl __complete WORD...` what may stand for the
// last word.
const std::map<std::string, std::string> kScripts{
    {"bash", R"sh(# campaignctl completion for bash: source <(campaignctl completion bash)
_campaignctl() {
  local line current words
  # Bash splits words at = and :, the command line does not.
  read -ra words <<<"${COMP_LINE:0:COMP_POINT}"
  [[ ${COMP_LINE:0:COMP_POINT} == *[[:space:]] ]] && words+=("")
  current=${words[${#words[@]} - 1]}
  COMPREPLY=()
  while IFS= read -r line; do
    if [[ $line == :files ]]; then
      compopt -o filenames
      while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "$current")
    elif [[ $line == --*=* ]]; then
      COMPREPLY+=("${line#*=}")
    else
      COMPREPLY+=("$line")
    fi
  done < <("${words[0]}" __complete "${words[@]:1}" 2>/dev/null)
}
complete -F _campaignctl campaignctl
)sh"},
    {"zsh", R"sh(#compdef campaignctl
# campaignctl completion for zsh: source <(campaignctl completion zsh)
_campaignctl() {
  local line
  local -a candidates
  for line in "${(@f)$("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    if [[ $line == :files ]]; then
      _files
    elif [[ -n $line ]]; then
      candidates+=("$line")
    fi
  done
  (( ${#candidates} )) && compadd -- "${candidates[@]}"
}
if [[ ${funcstack[1]} == _campaignctl ]]; then
  _campaignctl "$@"
else
  compdef _campaignctl campaignctl
fi
)sh"},
    {"fish", R"sh(# campaignctl completion for fish: campaignctl completion fish | source
function __campaignctl_complete
  set -l words (commandline -opc) (commandline -ct)
  for line in ($words[1] __complete $words[2..-1] 2>/dev/null)
    if test "$line" = :files
      __fish_complete_path (commandline -ct)
    else
      echo $line
    end
  end
end
complete -c campaignctl -f -a '(__campaignctl_complete)'
)sh"}};

Outcome<Report> completion(const Call& call) {
  const std::string shell = call.value("SHELL");
  const std::string& script = kScripts.at(shell);
  Report report;
  report.columns = {{"shell"}, {"script"}};
  report.rows = {{shell, {{"shell", shell}, {"script", script}}}};
  report.document = to_json(report.rows.front().values, true);
  report.draw = [&script](const View&) { return script; };
  return report;
}

}  // namespace

Command completion_command() {
  Command command{"completion",
                  "Print a script that completes command lines in your shell",
                  {"source <(campaignctl completion bash)", "campaignctl completion fish | source"}};
  command.arguments = {{"SHELL", "bash, zsh or fish", {"bash", "zsh", "fish"}}};
  command.run = completion;
  return command;
}

}  // namespace cx::ctl
