#!/bin/bash
# The Feature with its default options: `devcontainer features test` runs this inside the container, as the remote user.
set -e
. dev-container-features-test-lib

check 'dbkit is there' dbkit --version
check 'the database answers' dbkit status --wait
check 'the application has its role and database' bash -lc "psql -tAc 'select current_user, current_database()' | grep -x 'dbuser|dbuser'"
check 'the container is dbkit’s' bash -c "ps -eo args= | grep -q '^node .*dbkit entrypoint'"
check 'a backup can be taken' dbkit backup create

reportResults
