# The sources that every firmware shares, and build_id, which identifies them and not the moment of the
# build: the same sources give the same ELF.
set(runtime ${CMAKE_CURRENT_LIST_DIR}/..)
file(GLOB shared_sources CONFIGURE_DEPENDS ${runtime}/src/kernels/*.c ${runtime}/src/program/*.c
     ${runtime}/src/interp/*.c ${CMAKE_CURRENT_LIST_DIR}/resident.c)

set(digest "")
foreach(source IN LISTS shared_sources)
  file(SHA256 ${source} hash)
  string(APPEND digest ${hash})
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${source})
endforeach()
string(SHA256 digest "${digest}")
string(SUBSTRING ${digest} 0 8 build_id)
