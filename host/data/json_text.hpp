#pragma once

#include <nlohmann/json.hpp>
#include <string_view>

namespace sea {

/// Brackets within brackets that a JSON text may have. The library copies, compares and writes values by
/// recursion: without a bound a small file of brackets alone would overflow the stack.
constexpr int deepest_json = 64;

/// The value of a JSON text; discarded (`is_discarded`) where the text is none or nests deeper than
/// `deepest_json`. With `exceptions` what is no JSON throws the library's own.
template <class Json>
Json parse_json(std::string_view text, bool exceptions = false, bool comments = false) {
  bool too_deep = false;
  using Event = typename Json::parse_event_t;
  const auto within = [&](int depth, Event event, Json&) {
    const bool opens = event == Event::object_start || event == Event::array_start;
    too_deep |= opens && depth >= deepest_json;
    return !too_deep;
  };
  Json json = Json::parse(text.begin(), text.end(), within, exceptions, comments);
  return too_deep ? Json(Json::value_t::discarded) : json;
}

}  // namespace sea
