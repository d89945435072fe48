#include "configuration/registry.hpp"

namespace sea {

// A model's file defines its description; this is the only other place that names it.
ModelDescription describe_sea();
ModelDescription describe_bpr();
ModelDescription describe_lightgcn();
ModelDescription describe_layergcn();
ModelDescription describe_vbpr();
ModelDescription describe_freedom();
ModelDescription describe_mmgcn();
ModelDescription describe_dualgnn();
ModelDescription describe_lattice();
ModelDescription describe_slmrec();
ModelDescription describe_bm3();
ModelDescription describe_mgcn();
ModelDescription describe_lgmrec();
ModelDescription describe_micro();
ModelDescription describe_mmssl();
ModelDescription describe_pamd();
// The paper's Table 3: SEA's modules plugged in.
ModelDescription describe_vbpr_sea();
ModelDescription describe_freedom_sea();
ModelDescription describe_lattice_sea();
ModelDescription describe_slmrec_sea();
ModelDescription describe_bm3_sea();

const std::vector<ModelDescription>& models() {
  static const std::vector<ModelDescription> all = {
      describe_sea(),      describe_bpr(),         describe_lightgcn(),    describe_layergcn(),
      describe_vbpr(),     describe_freedom(),     describe_mmgcn(),       describe_dualgnn(),
      describe_lattice(),  describe_slmrec(),      describe_bm3(),         describe_mgcn(),
      describe_lgmrec(),   describe_micro(),       describe_pamd(),        describe_mmssl(),
      describe_vbpr_sea(), describe_freedom_sea(), describe_lattice_sea(), describe_slmrec_sea(),
      describe_bm3_sea()};
  return all;
}

}  // namespace sea
