namespace Mooring.Upstreams.Stdio;

/// <summary>The helper of <see cref="ProcessGuard"/>: a shell script, because a shell is there wherever servers are started and costs under a megabyte.</summary>
internal static class GuardScript
{
    /// <summary>
    /// Arguments: the gateway's mark. Standard input: <c>+ group start-time</c> and <c>- group</c>, one per line; its end is
    /// the end of the gateway. Then everything of the gateway gets SIGTERM, and what is left 1.5 s later SIGKILL, again and
    /// again until nothing is found (what is being killed may still start others).
    /// </summary>
    /// <remarks>
    /// A group number may have come to others since: it is signalled only if its leader still has the start time that was
    /// registered (field 22 of /proc/N/stat) or one of its members carries the mark. Without /proc the number is all there is.
    /// A zombie is done already and does not count. <c>kill -TERM -123</c> is the one form for groups that dash, bash and
    /// busybox have in common (<c>--</c> is not).
    /// </remarks>
    public const string Text = """
        trap '' INT TERM HUP QUIT PIPE USR1 USR2 TSTP TTIN TTOU
        cd /
        exec >/dev/null 2>&1
        mark=$1
        groups=' '
        while read -r op group start; do
            case $op in
                +) groups="$groups$group:$start " ;;
                -) case $groups in
                       *" $group:"*)
                           rest=${groups#*" $group:"}
                           head=${groups%%" $group:"*}
                           groups="$head ${rest#* }" ;;
                   esac ;;
            esac
        done

        # Sets state, pgrp and began of process $1; fails if it is gone or a zombie.
        look() {
            read -r line 2>/dev/null < "/proc/$1/stat" || return 1
            set -- ${line##*) }
            state=$1 pgrp=$3 began=${20}
            [ "$state" != Z ] && [ "$state" != X ]
        }

        # Sends signal $1 (0: only looks) to all that is left and sets found.
        sweep() {
            found= theirs=' '
            if [ -r /proc/self/environ ]; then
                for file in $(grep -ls "MOORING_INSTANCE=$mark" /proc/[0-9]*/environ); do
                    pid=${file#/proc/} pid=${pid%/environ}
                    look "$pid" || continue
                    found=1 theirs="$theirs$pgrp "
                    kill "-$1" "$pid"
                done
            fi
            for entry in $groups; do
                group=${entry%%:*} start=${entry#*:}
                [ "$group" -gt 1 ] && kill -0 "-$group" || continue
                if [ -r /proc/self/stat ]; then
                    case $theirs in
                        *" $group "*) ;;
                        *) look "$group" && [ "$began" = "$start" ] || continue ;;
                    esac
                fi
                found=1
                kill "-$1" "-$group"
            done
        }

        sweep TERM
        tries=0
        while [ -n "$found" ] && [ $tries -lt 15 ]; do
            sleep 0.1 || { sleep 1; tries=14; }
            tries=$((tries + 1))
            sweep 0
        done
        tries=0
        while [ -n "$found" ] && [ $tries -lt 50 ]; do
            sweep KILL
            sleep 0.1 || sleep 1
            tries=$((tries + 1))
        done
        """;
}
