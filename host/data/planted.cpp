#include "data/planted.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "data/random_stream.hpp"

namespace sea {

namespace {

// Streams of random numbers: one for each purpose, then one for each user.
enum Stream : std::int64_t {
  traits_stream = 1,
  popularity_stream,
  activity_stream,
  repair_stream,
  user_streams = 16
};

constexpr std::int64_t part_width = 8;
constexpr std::int64_t parts = 4;  ///< shared, visual alone, textual alone, hidden
constexpr std::int64_t trait_width = part_width * parts;
constexpr float sharpness = 14.0f;   ///< how much a matching item is preferred over any other
constexpr float contentment = 0.8f;  ///< an item that matches so well is taken at once
constexpr int most_tries = 2000;

std::size_t at(std::int64_t i) {
  return static_cast<std::size_t>(i);
}

/// Draws i with probability weights[i] / sum, in constant time (Walker's alias method).
class AliasTable {
 public:
  explicit AliasTable(const std::vector<double>& weights) : keep_(weights.size()), alias_(weights.size()) {
    const double mean =
        std::accumulate(weights.begin(), weights.end(), 0.0) / static_cast<double>(weights.size());
    std::vector<std::uint32_t> small, large;
    for (std::uint32_t i = 0; i < weights.size(); ++i) {
      keep_[i] = static_cast<float>(weights[i] / mean);
      alias_[i] = i;
      (keep_[i] < 1.0f ? small : large).push_back(i);
    }
    while (!small.empty() && !large.empty()) {
      const std::uint32_t poor = small.back(), rich = large.back();
      small.pop_back();
      alias_[poor] = rich;
      keep_[rich] -= 1.0f - keep_[poor];
      if (keep_[rich] < 1.0f) {
        large.pop_back();
        small.push_back(rich);
      }
    }
  }
  std::uint32_t draw(RandomStream& random) const {
    const std::uint32_t i = random.below(static_cast<std::uint32_t>(keep_.size()));
    return random.uniform() < keep_[i] ? i : alias_[i];
  }

 private:
  std::vector<float> keep_;
  std::vector<std::uint32_t> alias_;
};

/// Weights that fall with the rank as a power, the ranks given out at random.
std::vector<double> long_tail(std::int64_t count, double power, RandomStream& random) {
  std::vector<double> weights(at(count));
  for (std::int64_t rank = 0; rank < count; ++rank)
    weights[at(rank)] = std::pow(static_cast<double>(rank) + 0.01 * static_cast<double>(count) + 1.0, -power);
  for (std::int64_t i = count - 1; i > 0; --i)
    std::swap(weights[at(i)], weights[random.below(static_cast<std::uint32_t>(i + 1))]);
  return weights;
}

void normalize(float* part) {
  float squares = 0.0f;
  for (std::int64_t j = 0; j < part_width; ++j) squares += part[j] * part[j];
  const float scale = 1.0f / std::sqrt(std::max(squares, 1e-12f));
  for (std::int64_t j = 0; j < part_width; ++j) part[j] *= scale;
}

/// items x (parts x 8): in every part a unit vector near one of some centres, each part with centres of its
/// own.
HostMatrix item_traits(std::int64_t items, std::int64_t kinds, RandomStream& random) {
  const auto centres = static_cast<std::int64_t>(1.5 * std::sqrt(std::sqrt(static_cast<double>(items))));
  HostMatrix centre(centres * kinds, part_width), traits(items, part_width * kinds);
  for (float& value : centre.values) value = random.bell();
  for (std::int64_t row = 0; row < centre.rows; ++row) normalize(centre.view().row(row));
  for (std::int64_t item = 0; item < items; ++item) {
    for (std::int64_t kind = 0; kind < kinds; ++kind) {
      float* part = traits.view().row(item) + kind * part_width;
      const float* middle =
          centre.view().row(kind * centres + random.below(static_cast<std::uint32_t>(centres)));
      for (std::int64_t j = 0; j < part_width; ++j) part[j] = middle[j] + 0.2f * random.bell();
      normalize(part);
    }
  }
  return traits;
}

/// How much a user likes an item: the better match with either of two interests.
class Taste {
 public:
  Taste(const HostMatrix& traits, const AliasTable& popularity, RandomStream& random) : traits_(traits) {
    const float leaning = 0.15f + 0.7f * random.uniform();
    const std::array<float, parts> weight = {0.3f, 0.6f * leaning, 0.6f * (1.0f - leaning), 0.1f};
    for (float* interest : {interests_.data(), interests_.data() + trait_width}) {
      const float* model = traits.view().row(popularity.draw(random));
      for (std::int64_t part = 0; part < parts; ++part) {
        float* values = interest + part * part_width;
        for (std::int64_t j = 0; j < part_width; ++j)
          values[j] = model[part * part_width + j] + 0.15f * random.bell();
        normalize(values);
        for (std::int64_t j = 0; j < part_width; ++j) values[j] *= weight[at(part)];
      }
    }
  }
  /// At most 1.
  float match(std::int64_t item) const {
    const float* traits = traits_.view().row(item);
    float first = 0.0f, second = 0.0f;
#pragma omp simd reduction(+ : first, second)
    for (std::int64_t j = 0; j < trait_width; ++j) {
      first += traits[j] * interests_[at(j)];
      second += traits[j] * interests_[at(trait_width + j)];
    }
    return std::max(first, second);
  }

 private:
  const HostMatrix& traits_;
  std::array<float, 2 * trait_width> interests_{};
};

/// How many items each user has: a floor for all, the rest long-tailed, never more than nine tenths of the
/// items.
std::vector<std::int64_t> activity(std::int64_t users, std::int64_t items, std::int64_t interactions,
                                   std::uint64_t seed) {
  RandomStream random(seed, activity_stream);
  const std::int64_t least = std::min<std::int64_t>(5, interactions / users), most = items - items / 10;
  std::vector<std::int64_t> counts(at(users), least);
  const AliasTable eager(long_tail(users, 0.7, random));
  for (std::int64_t left = interactions - least * users; left > 0; --left) {
    std::int64_t user = eager.draw(random);
    for (int tries = 0; counts[at(user)] >= most && tries < 64; ++tries) user = eager.draw(random);
    while (counts[at(user)] >= most) user = (user + 1) % users;
    ++counts[at(user)];
  }
  return counts;
}

/// Gives each item that nobody has to a user whom it suits, in place of an item that others have too.
void cover_every_item(Planted& planted, const std::vector<std::int32_t>& owner, const HostMatrix& traits,
                      std::int64_t item_count, std::uint64_t seed) {
  RandomStream random(seed, repair_stream);
  std::vector<std::int64_t> holders(at(item_count));
  for (const std::int32_t item : planted.items) ++holders[at(item)];
  const auto places = static_cast<std::int64_t>(planted.items.size());
  const auto similarity = [&](std::int32_t a, std::int32_t b) {
    float sum = 0.0f;
    for (std::int64_t j = 0; j < trait_width; ++j) sum += traits.view()(a, j) * traits.view()(b, j);
    return sum;
  };
  for (std::int32_t item = 0; item < item_count; ++item) {
    if (holders[at(item)] > 0) continue;
    std::int64_t best = -1;
    float best_similarity = 0.0f;
    std::int64_t place = 0;
    for (std::int64_t tries = 0; tries < 64 || best < 0; ++tries) {
      // At first any place; then, where duplicates are rare, one after the other: some item has two users.
      place = tries < 64 ? random.below(static_cast<std::uint32_t>(places)) : (place + 1) % places;
      if (holders[at(planted.items[at(place)])] < 2) continue;
      // What the user's first item is like stands for the user's taste.
      const std::int32_t user = owner[at(place)];
      const float found = similarity(item, planted.items[at(planted.offsets[at(user)])]);
      if (best < 0 || found > best_similarity) {
        best = place;
        best_similarity = found;
      }
    }
    --holders[at(planted.items[at(best)])];
    planted.items[at(best)] = item;
    holders[at(item)] = 1;
  }
}

/// The columns of `traits` of two parts beside looks of their own.
HostMatrix shown_traits(const HostMatrix& traits, std::int64_t own_part, const HostMatrix& looks,
                        std::int64_t look) {
  HostMatrix shown(traits.rows, 3 * part_width);
  for (std::int64_t item = 0; item < traits.rows; ++item) {
    float* row = shown.view().row(item);
    std::copy_n(traits.view().row(item), part_width, row);
    std::copy_n(traits.view().row(item) + own_part * part_width, part_width, row + part_width);
    std::copy_n(looks.view().row(item) + look * part_width, part_width, row + 2 * part_width);
  }
  return shown;
}

}  // namespace

Planted plant(std::int64_t users, std::int64_t items, std::int64_t interactions, std::uint64_t seed,
              const SynthProgress& progress) {
  RandomStream trait_random(seed, traits_stream), popularity_random(seed, popularity_stream);
  const HostMatrix traits = item_traits(items, parts, trait_random);
  const HostMatrix looks = item_traits(items, 2, trait_random);
  const AliasTable popularity(long_tail(items, 0.7, popularity_random));
  const std::vector<std::int64_t> counts = activity(users, items, interactions, seed);

  Planted planted;
  planted.visual_traits = shown_traits(traits, 1, looks, 0);
  planted.textual_traits = shown_traits(traits, 2, looks, 1);
  planted.offsets.push_back(0);
  planted.items.reserve(at(interactions));
  std::vector<std::int32_t> owner;  // the user of each place
  owner.reserve(at(interactions));
  std::vector<std::int64_t> last_user(at(items), -1);  // who has taken an item last
  for (std::int64_t user = 0; user < users; ++user) {
    if (user % 256 == 0) progress("interactions", static_cast<double>(user) / static_cast<double>(users));
    RandomStream random(seed, user_streams + user);
    const Taste taste(traits, popularity, random);
    for (std::int64_t left = counts[at(user)]; left > 0; --left) {
      std::int64_t chosen = -1;
      float best = 0.0f;
      for (int tries = 0; tries < most_tries; ++tries) {
        const std::int64_t item = popularity.draw(random);
        if (last_user[at(item)] == user) continue;
        const float match = taste.match(item);
        if (chosen < 0 || match > best) {
          chosen = item;
          best = match;
        }
        if (random.uniform() < std::exp(sharpness * (std::min(match, contentment) - contentment))) {
          chosen = item;
          break;
        }
      }
      // A user who has nearly all that is popular takes the next one there is.
      if (chosen < 0) chosen = random.below(static_cast<std::uint32_t>(items));
      while (last_user[at(chosen)] == user) chosen = (chosen + 1) % items;
      last_user[at(chosen)] = user;
      planted.items.push_back(static_cast<std::int32_t>(chosen));
      owner.push_back(static_cast<std::int32_t>(user));
    }
    planted.offsets.push_back(static_cast<std::int64_t>(planted.items.size()));
  }
  cover_every_item(planted, owner, traits, items, seed);
  for (std::int64_t user = 0; user < users; ++user) {
    RandomStream random(seed, user_streams + users + user);
    std::int32_t* row = planted.items.data() + planted.offsets[at(user)];
    for (std::int64_t i = counts[at(user)] - 1; i > 0; --i)
      std::swap(row[i], row[random.below(static_cast<std::uint32_t>(i + 1))]);
  }
  return planted;
}

}  // namespace sea
