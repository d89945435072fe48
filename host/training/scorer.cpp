#include "training/scorer.hpp"

namespace sea {

namespace {

class DotScorer final : public Scorer {
 public:
  std::vector<ItemPart> parts(std::int64_t) const override { return {{"item_embeddings", 0}}; }
  void rank(Backend& backend, ConstMatrixView users, ConstMatrixView items, std::int64_t k,
            const CsrPatternView& excluded, IndexView ids, VectorView scores,
            Workspace workspace) const override {
    backend.topk_dot(users, items, k, excluded, ids, scores, workspace);
  }
  std::size_t rank_workspace(const Backend& backend, std::int64_t users, std::int64_t items,
                             std::int64_t width, std::int64_t k) const override {
    return backend.topk_dot_workspace(users, items, width, k);
  }
};

class AttentiveScorer final : public Scorer {
 public:
  std::vector<ItemPart> parts(std::int64_t width) const override {
    return {{"item_embeddings", 0},
            {"item_common_visual", width},
            {"item_common_textual", 2 * width},
            {"item_specific_visual", 3 * width},
            {"item_specific_textual", 4 * width}};
  }
  void rank(Backend& backend, ConstMatrixView users, ConstMatrixView items, std::int64_t k,
            const CsrPatternView& excluded, IndexView ids, VectorView scores,
            Workspace workspace) const override {
    backend.rank_attentive(users, items, k, excluded, ids, scores, workspace);
  }
  std::size_t rank_workspace(const Backend& backend, std::int64_t users, std::int64_t items,
                             std::int64_t width, std::int64_t k) const override {
    return backend.rank_attentive_workspace(users, items, width, k);
  }
  std::string caution() const override {
    return "the score is no inner product of two vectors: with s_k the products of a user's vector with the "
           "four parts of an item, it is the product with item_embeddings plus the sum of softmax(s)_k s_k";
  }
};

}  // namespace

const Scorer& scorer_of(Score score) {
  static const DotScorer dot;
  static const AttentiveScorer attentive;
  if (score == Score::attentive) return attentive;
  return dot;
}

}  // namespace sea
