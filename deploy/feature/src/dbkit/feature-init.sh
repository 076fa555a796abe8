#!/bin/sh
# Runs dbkit as the container's life, and outlives it where dbkit cannot even begin: a dev container that ends cannot be mended from inside.
exec 3<&0 # A background job's stdin would be /dev/null.
dbkit-init "$@" <&3 3<&- &
child=$!
exec 3<&-
stopping=
for name in TERM INT QUIT; do
  # shellcheck disable=SC2064 # The name and the pid are meant to be put in now.
  trap "stopping=1; kill -$name $child 2>/dev/null" "$name"
done
# shellcheck disable=SC2064
trap "kill -HUP $child 2>/dev/null" HUP
while :; do
  wait "$child"
  status=$?
  # A trap ends `wait` early; the child is only gone when nobody answers to its number.
  kill -0 "$child" 2>/dev/null || break
done
# The container's own command has ended, or a stop was asked for.
if [ -n "$stopping" ] || [ "$#" -gt 0 ]; then exit "$status"; fi
echo "dbkit ended with $status, as it says above; the container stays. Mend it, and type: dbkit up --detach" >&2
trap 'exit 0' TERM INT QUIT
while sleep 1 & wait $!; do :; done
