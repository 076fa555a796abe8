#!/bin/sh
# Installs Node where there is none, PostgreSQL where it is asked for, and dbkit. Debian, Ubuntu, Alpine, Fedora and what derives from them.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
VERSION=${VERSION:-latest} POSTGRESVERSION=${POSTGRESVERSION:-distribution}
USERNAME=${USERNAME:-dbuser} DATABASE=${DATABASE:-} PORT=${PORT:-5432} AUTOBACKUP=${AUTOBACKUP:-true} MONITOR=${MONITOR:-false}
NODE_MAJOR=22

say() { echo "dbkit feature: $*" >&2; }
die() { say "$*"; exit 1; }
[ "$(id -u)" = 0 ] || die 'install.sh has to run as root'
# These end up in a configuration file: nothing in them may end a line or a quote.
for word in "$USERNAME" "$DATABASE"; do
  case $word in *[!A-Za-z0-9_-]*) die "'$word' is not a name of letters, digits, _ and -" ;; esac
done
case $PORT in '' | *[!0-9]*) die "'$PORT' is not a port" ;; esac
case $AUTOBACKUP-$MONITOR in true-true | true-false | false-true | false-false) ;; *) die 'autoBackup and monitor are true or false' ;; esac

# In a shell of its own: that file has a VERSION too.
base=$(. /etc/os-release && echo "${ID:-unknown} ${ID_LIKE:-}")
case " $base " in
  *' debian '* | *' ubuntu '*) family=debian ;;
  *' alpine '*) family=alpine ;;
  *' fedora '* | *' rhel '*) family=fedora ;;
  *) die "this base is neither Debian, Ubuntu, Alpine nor Fedora ($base)" ;;
esac

add() { # add PACKAGE...
  case $family in
    debian)
      export DEBIAN_FRONTEND=noninteractive
      [ -n "${updated:-}" ] || apt-get update
      updated=1
      apt-get install -y --no-install-recommends "$@"
      ;;
    alpine) apk add --no-cache "$@" ;;
    fedora) dnf install -y --setopt=install_weak_deps=False "$@" ;;
  esac
}

has_node() { # Node 20.19 or newer, with npm; Debian 13's own Node 20 does not let root put its rights down (CVE-2024-22017), so dbkit refuses it
  command -v npm >/dev/null 2>&1 && command -v node >/dev/null 2>&1 &&
    node -e 'process.setegid(process.getegid()); const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' 2>/dev/null
}

install_node() {
  has_node && return
  case $family in
    debian)
      # The distribution's own from 22 on, else NodeSource's.
      add ca-certificates curl gnupg
      if ! apt-cache policy nodejs | grep -Eq 'Candidate: (2[2-9]|[3-9][0-9])'; then
        curl -fsSL "https://deb.nodesource.com/setup_$NODE_MAJOR.x" | bash -
      fi
      add nodejs
      command -v npm >/dev/null 2>&1 || add npm
      ;;
    *) add nodejs npm ;;
  esac
  hash -r
  has_node || die "this base has no Node 20.19 or newer that root can use ($(node --version 2>/dev/null || echo none)); add the feature ghcr.io/devcontainers/features/node"
}

install_postgresql() {
  [ "$POSTGRESVERSION" = none ] && return
  case $family in
    debian)
      add postgresql-common
      # Debian would make a cluster of its own, which nobody asked for.
      echo 'create_main_cluster = false' >>/etc/postgresql-common/createcluster.conf
      if [ "$POSTGRESVERSION" = distribution ]; then add postgresql; return; fi
      apt-cache show "postgresql-$POSTGRESVERSION" >/dev/null 2>&1 || /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y
      updated=1
      add "postgresql-$POSTGRESVERSION"
      ;;
    alpine)
      if [ "$POSTGRESVERSION" = distribution ]; then add postgresql postgresql-client; return; fi
      add "postgresql$POSTGRESVERSION" "postgresql$POSTGRESVERSION-client"
      ;;
    fedora)
      if [ "$POSTGRESVERSION" = distribution ]; then add postgresql-server postgresql; return; fi
      # The release's default major bears no number in its packages' names.
      add "postgresql$POSTGRESVERSION-server" "postgresql$POSTGRESVERSION" || add postgresql-server postgresql
      postgres --version | grep -q " $POSTGRESVERSION[.]" || die "this base has no PostgreSQL $POSTGRESVERSION: $(postgres --version)"
      ;;
  esac
}

install_dbkit() {
  case $family in
    debian) add util-linux procps ;;
    alpine) add util-linux-misc flock procps || add util-linux procps ;;
    fedora) add util-linux procps-ng ;;
  esac
  package=$VERSION
  case $VERSION in
    latest) if [ -f "$here/dbkit.tgz" ]; then package=$here/dbkit.tgz; else package=dbkit@latest; fi ;;
    /* | ./* | http*) ;;
    *) package=dbkit@$VERSION ;;
  esac
  npm install --global --no-audit --no-fund "$package"
  npm cache clean --force >/dev/null 2>&1 || true
}

configure() {
  owner=${_REMOTE_USER:-root}
  if [ "$owner" = root ] || ! id "$owner" >/dev/null 2>&1; then owner=postgres; fi
  id "$owner" >/dev/null 2>&1 || die "there is no user to run the server as; set remoteUser"
  for directory in /var/lib/postgresql-data /var/lib/postgresql-backup /var/log/postgresql /var/lib/dbkit /var/run/postgresql; do
    mkdir -p "$directory" && chown "$owner" "$directory"
  done
  chmod 700 /var/lib/postgresql-data
  mkdir -p /etc/dbkit /usr/local/share/dbkit
  [ -e /etc/dbkit/dbkit.yaml ] || cat >/etc/dbkit/dbkit.yaml <<YAML
# Written by the dbkit Feature from its options; DBKIT_CONFIG names another file.
postgresql:
  user: $owner
  username: "$USERNAME"
  database: "${DATABASE:-$USERNAME}"
  port: $PORT
  onFail: hold
backup:
  afterStart: $AUTOBACKUP
monitor:
  enabled: $MONITOR
YAML
  # For psql in shells; who sets them elsewhere wins.
  mkdir -p /etc/profile.d
  cat >/etc/profile.d/dbkit.sh <<PROFILE
export PGUSER="\${PGUSER:-$USERNAME}" PGDATABASE="\${PGDATABASE:-${DATABASE:-$USERNAME}}" PGPORT="\${PGPORT:-$PORT}"
PROFILE
  install -m 755 "$here/feature-init.sh" "$here/feature-entrypoint.sh" /usr/local/share/dbkit/
}

install_postgresql
install_node
install_dbkit
configure
[ "$family" != debian ] || rm -rf /var/lib/apt/lists/*
say "dbkit $(dbkit --version) is installed"
