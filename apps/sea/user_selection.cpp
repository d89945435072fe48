#include "user_selection.hpp"

#include <numeric>

#include "id_finder.hpp"
#include "sea/error.hpp"

namespace sea {

bool check_users(const UserSelection& selection, bool others) {
  const bool some = !selection.ids.empty() || !selection.numbers.empty() || selection.file;
  if (!some && !selection.all && !others)
    throw UsageError("--user, --user-index, --user-file or --all is needed");
  if (some && selection.all) throw UsageError("--all has every user; leave the other users out");
  return some || selection.all;
}

std::vector<std::int32_t> find_users(const UserSelection& selection, const Dataset& dataset) {
  std::vector<std::int32_t> users;
  if (selection.all) {
    users.resize(static_cast<std::size_t>(dataset.users));
    std::iota(users.begin(), users.end(), 0);
    return users;
  }
  const IdFinder finder(dataset, IdFinder::Of::users);
  finder.add_ids("--user", selection.ids, "--user-index", users);
  finder.add_numbers("--user-index", selection.numbers, users);
  if (selection.file) finder.add_file("--user-file", *selection.file, "--user-index", users);
  return users;
}

}  // namespace sea
