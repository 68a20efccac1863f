// TenantService: how much each tenant was served, for fair sharing by virtual token counters.
//
// A tenant's counter grows by the tokens that are computed for it; who was served least comes first. A tenant
// that comes (back) to work starts at the least counter of those at work, so that nobody saves up service by
// being idle. A tenant that leaves keeps its counter while that is above the others', so that nobody sheds
// its past by leaving for a moment.
//
// Thread rule: the scheduler's thread. Memory: one entry per tenant at work, and per one that left ahead of
// the others. Cost: O(tenants) per call.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace folio::scheduler {

class TenantService {
 public:
  // One more, or one less, sequence of this tenant. Requires: leave() follows an enter().
  void enter(std::uint64_t tenant);
  void leave(std::uint64_t tenant);
  // Requires: entered.
  void charge(std::uint64_t tenant, std::size_t tokens) { find(tenant)->served += tokens; }
  std::size_t at_work() const {
    return static_cast<std::size_t>(
        std::ranges::count_if(tenants_, [](const Tenant& tenant) { return tenant.sequences > 0; }));
  }
  std::uint64_t served(std::uint64_t tenant) const { return find(tenant)->served; }

 private:
  struct Tenant {
    std::uint64_t id;
    std::uint64_t served;
    std::size_t sequences;
  };

  std::vector<Tenant>::iterator find(std::uint64_t id) {
    return std::ranges::find(tenants_, id, &Tenant::id);
  }
  std::vector<Tenant>::const_iterator find(std::uint64_t id) const {
    return std::ranges::find(tenants_, id, &Tenant::id);
  }

  std::vector<Tenant> tenants_;
};

}  // namespace folio::scheduler
