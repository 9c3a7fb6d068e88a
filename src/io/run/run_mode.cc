#include "io/run/run_mode.h"

#include <algorithm>
#include <utility>

#include "io/file/file_head.h"
#include "io/file/file_source.h"
#include "io/run/engine_settings.h"
#include "io/run/file_run.h"
#include "io/run/follow_run.h"
#include "io/run/live_run.h"
#include "io/run/team_run.h"

namespace tcp_sniffer {

std::unique_ptr<RunMode> make_run_mode(const RunHost& host) {
  if (host.config.live()) return std::make_unique<LiveRun>(host);
  if (host.config.follow) return std::make_unique<FollowRun>(host);
  std::vector<std::string> files = files_to_read(host.config);
  if (may_read_in_team(host.config) &&
      std::all_of(files.begin(), files.end(), FileSource::is_plain)) {
    return std::make_unique<TeamRun>(host, std::move(files));
  }
  return std::make_unique<FileRun>(host, std::move(files));
}

}  // namespace tcp_sniffer
