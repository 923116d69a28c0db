# cmake -DSOURCE=dir -DWORK=dir -P fetch.cmake: WORK/viewer.js and WORK/viewer.css from the package that SOURCE's lock file
# pins. Without npm or network both are empty, and the node serves a plain page (docs.cpp); to try again, remove WORK.
find_program(NPM npm)
file(MAKE_DIRECTORY ${WORK})
set(why "npm is not installed")
if(NPM)
  file(COPY ${SOURCE}/package.json ${SOURCE}/package-lock.json ${SOURCE}/.npmrc DESTINATION ${WORK})
  execute_process(
    COMMAND ${NPM} ci --fetch-retries=2 --fetch-retry-mintimeout=500 --fetch-retry-maxtimeout=2000 --fetch-timeout=60000
    WORKING_DIRECTORY ${WORK} TIMEOUT 180 RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  set(dist ${WORK}/node_modules/swagger-ui-dist)
  if(result EQUAL 0 AND EXISTS ${dist}/swagger-ui-bundle.js AND EXISTS ${dist}/swagger-ui.css)
    file(COPY_FILE ${dist}/swagger-ui-bundle.js ${WORK}/viewer.js)
    file(COPY_FILE ${dist}/swagger-ui.css ${WORK}/viewer.css)
    file(TOUCH ${WORK}/viewer.js ${WORK}/viewer.css)
    return()
  endif()
  string(STRIP "${output}" output)
  set(why "npm ci failed: ${output}")
endif()
message("The page /docs goes without its viewer; to try again, remove ${WORK} and build. ${why}")
file(WRITE ${WORK}/viewer.js "")
file(WRITE ${WORK}/viewer.css "")
