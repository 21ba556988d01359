# Written by proxygen install-service, which writes it anew; `proxygen install-service --remove`
# takes it away.
#
# Tells root and the contact by mail that proxygen cannot run: once an outage, and without Python,
# which may be what is broken. proxygen-failed@.service runs it:
#
#     sh failed.sh UNIT FOLDER PROGRAM [ARGUMENT]...
#
# UNIT is proxygen or proxygen-renew. In FOLDER are `contact`, an address that a run of proxygen
# noted, and `told`, which lasts from the mail to the next good start. PROGRAM with its arguments is
# proxygen as it is started. How it ended is told in the environment (MONITOR_… in systemd.exec(5)).

set -u
export LC_ALL=C
unit=$1 folder=$2
shift 2
program=$1

# What systemd says of the end -> why there is a mail, or none: a run that ended with another code
# has told people itself, one that was killed or hung is started again. Before 251 it says nothing.
case $unit/${MONITOR_SERVICE_RESULT:-}/${MONITOR_EXIT_CODE:-}/${MONITOR_EXIT_STATUS:-} in
*/watchdog/*) exit 0 ;;
*/exited/1) why="it ended with 1: Python did not find what it needs, or proxygen has a bug" ;;
*/exited/12[67] | */exited/2[0-4][0-9]) why="it could not be started ($MONITOR_EXIT_STATUS)" ;;
*/ILL | */ABRT | */BUS | */FPE | */SEGV | */SYS) why="it crashed ($MONITOR_EXIT_STATUS)" ;;
proxygen/timeout/*/KILL) exit 0 ;; # it was told to stop
proxygen/timeout/*) why="it was not ready in time" ;;
*/resources/* | */protocol/* | */start-limit-hit//) why="it could not be started" ;;
*) exit 0 ;;
esac

# Two that fail at the same moment are told by one mail: the other waits, and sees it noted.
mkdir -p -m 0700 "$folder" && exec 9< "$folder" && flock -w 100 9

if [ -e "$folder/told" ]; then
    echo "$unit.service: $why; the mail about it was sent before"
    exit 0
fi

# Whether that can be noted is known before the mail is sent: nobody gets one a minute.
rm -rf "$folder/.told.new" && [ -d "$folder" ] && date > "$folder/.told.new" || {
    echo "$unit.service: $why; no mail is sent, since nothing can be noted in $folder" >&2
    exit 1
}

# The address is a word of letters, digits and a few more, with one @ in it; else root alone is told.
contact=
[ -f "$folder/contact" ] && contact=$(head -c 400 "$folder/contact" | head -n 1)
case $contact in
*[!A-Za-z0-9@._+=~-]* | *@*@* | [!A-Za-z0-9]* | *@[!A-Za-z0-9]* | *@) contact= ;;
*@*) [ ${#contact} -le 254 ] || contact= ;;
*) contact= ;;
esac

# What others wrote, as lines of a mail: bounded, and nothing but printable ASCII.
plain() {
    tr -c '\11\12\40-\176' '?' | cut -c 1-300 | head -n 30
}

last_lines() {
    command -v journalctl > /dev/null || return 0
    said=$(timeout 20 journalctl --quiet --no-pager --no-hostname --unit "$unit.service" \
        --lines 20 2>&1 | plain | sed 's/^/    /')
    [ -z "$said" ] || printf 'Its log ends with:\n\n%s\n\n' "$said"
}

# How the program came to this host -> how it comes there anew. It may be a link.
repair() {
    for each in "$program" "$(readlink -- "$program")"; do
        place=${each%/bin/*}
        if grep -qxF -- "$each" /var/lib/dpkg/info/proxygen.list 2> /dev/null; then
            echo "    packaging/build        # in a checkout of proxygen, on this release of Debian"
            echo "    apt-get install --reinstall ./dist/proxygen_*.deb"
            return
        elif [ -n "$each" ] && [ -e "$place/pyvenv.cfg" ]; then
            echo "    python3 -m venv --clear $place"
            echo "    # then in a checkout of proxygen:"
            echo "    $place/bin/pip install --require-hashes -r packaging/requirements.lock"
            echo "    $place/bin/pip install --no-deps ."
            return
        fi
    done
    echo "    # install proxygen again, as it was installed before"
}

begin_again() {
    case $unit in
    proxygen)
        echo "    systemctl reset-failed proxygen.service"
        echo "    systemctl restart proxygen.service"
        ;;
    *) echo "    systemctl start $unit.service" ;;
    esac
}

next_try() {
    case $unit in
    proxygen) echo "systemd tries again every
quarter of an hour." ;;
    *) echo "systemd tries
again at the next time of the timer." ;;
    esac
}

host=$(uname -n | tr -cd 'A-Za-z0-9.-' | cut -c 1-200)

message() {
    cat << HEADERS
From: root
To: root${contact:+, $contact}
Subject: proxygen does not run on $host
Date: $(date -R)
Auto-Submitted: auto-generated
MIME-Version: 1.0
Content-Type: text/plain; charset=us-ascii

HEADERS
    plain << BEFORE
proxygen cannot run on $host. On $(date -R)
$unit.service failed: $why.

nginx, postfix and dovecot go on with the certificates that they have. Until this is repaired no
certificate is renewed, and no change of the model takes effect. $(next_try)
There is no further mail about it, until proxygen has run in between.

BEFORE
    last_lines
    plain << AFTER
What to do, as root:

1. See whether it starts:
    $* --version

2. If it does not, most often Python was replaced by an upgrade of the system. Install it anew:
$(repair)
   If it does, it is a bug of proxygen: report it with what its log says.

3. Have it run again, and see how that goes:
$(begin_again)
    systemctl status $unit.service
AFTER
}

sendmail=$(command -v sendmail) || sendmail=/usr/sbin/sendmail
# -odq: a mail server that would deliver it at once, from within this sandbox, does so later.
if message "$@" | "$sendmail" -i -odq -- root ${contact:+"$contact"} 9<&-; then
    mv -f "$folder/.told.new" "$folder/told"
    echo "$unit.service: $why; mailed to root${contact:+ and $contact}"
else
    rm -f "$folder/.told.new"
    echo "$unit.service: $why; $sendmail did not take the mail about it" >&2
    exit 1
fi
