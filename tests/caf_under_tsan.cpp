// What CAF promises, told to ThreadSanitizer, which does not see into Debian's libcaf_core: a message is
// complete when it is handled, an actor runs on one thread after the other, and the last to let go of an
// actor sees all that others did. Only linked with TSan. Defined under their mangled names, these come before
// those of the library, which they call.

#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>

namespace {

template <class Function>
Function* original(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

/// A std::unique_ptr<mailbox_element>, which is passed by reference.
using ElementPtr = void**;
using Enqueue = void(void* self, ElementPtr element, void* unit);

}  // namespace

#define CX_SCHEDULED_ENQUEUE \
  _ZN3caf15scheduled_actor7enqueueESt10unique_ptrINS_15mailbox_elementENS_6detail8disposerEEPNS_14execution_unitE
#define CX_BLOCKING_ENQUEUE \
  _ZN3caf14blocking_actor7enqueueESt10unique_ptrINS_15mailbox_elementENS_6detail8disposerEEPNS_14execution_unitE
#define CX_BLOCKING_DEQUEUE _ZN3caf14blocking_actor7dequeueEv
#define CX_REACTIVATE _ZN3caf15scheduled_actor10reactivateERNS_15mailbox_elementE
#define CX_RESUME _ZN3caf15scheduled_actor6resumeEPNS_14execution_unitEm
#define CX_RELEASE _ZN3caf21intrusive_ptr_releaseEPNS_19actor_control_blockE
#define CX_TEXT_OF(name) #name
#define CX_TEXT(name) CX_TEXT_OF(name)

extern "C" {

void CX_SCHEDULED_ENQUEUE(void* self, ElementPtr element, void* unit) {
  static const auto caf = original<Enqueue>(CX_TEXT(CX_SCHEDULED_ENQUEUE));
  __tsan_release(*element);
  caf(self, element, unit);
}

void CX_BLOCKING_ENQUEUE(void* self, ElementPtr element, void* unit) {
  static const auto caf = original<Enqueue>(CX_TEXT(CX_BLOCKING_ENQUEUE));
  __tsan_release(*element);
  caf(self, element, unit);
}

/// Returns a std::unique_ptr<mailbox_element>: in `result`.
void* CX_BLOCKING_DEQUEUE(ElementPtr result, void* self) {
  static const auto caf = original<void*(ElementPtr, void*)>(CX_TEXT(CX_BLOCKING_DEQUEUE));
  auto* returned = caf(result, self);
  if (*result != nullptr) __tsan_acquire(*result);
  return returned;
}

int CX_REACTIVATE(void* self, void* element) {
  static const auto caf = original<int(void*, void*)>(CX_TEXT(CX_REACTIVATE));
  __tsan_acquire(element);
  return caf(self, element);
}

int CX_RESUME(void* self, void* unit, unsigned long most) {
  static const auto caf = original<int(void*, void*, unsigned long)>(CX_TEXT(CX_RESUME));
  __tsan_acquire(self);
  const int result = caf(self, unit, most);
  __tsan_release(self);
  return result;
}

void CX_RELEASE(void* block) {
  static const auto caf = original<void(void*)>(CX_TEXT(CX_RELEASE));
  __tsan_release(block);
  __tsan_acquire(block);
  caf(block);
}

}  // extern "C"
