namespace Mooring.Streams;

/// <summary>Why a stream ended: the closed list of docs/architecture.md, also the metric tag.</summary>
internal enum StreamReason
{
    ClientClosed,
    ClientVanished,
    IdleCut,
    MaxAgeCut,
    SlowReader,
    Replaced,
    Draining,
    SessionEnded,
    SessionExpired,
    AuthExpired,
    UpstreamEnded,
    Limit,
    Error,

    /// <summary>The answer was sent and nothing is left to say.</summary>
    Answered,
}

/// <summary>Which party ended it.</summary>
internal enum ClosedBy
{
    Client,
    Path,
    Gateway,
    Upstream,
}

internal static class StreamEnds
{
    public static string ToTag(this StreamReason reason) => reason switch
    {
        StreamReason.ClientClosed => "client_closed",
        StreamReason.ClientVanished => "client_vanished",
        StreamReason.IdleCut => "idle_cut",
        StreamReason.MaxAgeCut => "max_age_cut",
        StreamReason.SlowReader => "slow_reader",
        StreamReason.Replaced => "replaced",
        StreamReason.Draining => "draining",
        StreamReason.SessionEnded => "session_ended",
        StreamReason.SessionExpired => "session_expired",
        StreamReason.AuthExpired => "auth_expired",
        StreamReason.UpstreamEnded => "upstream_ended",
        StreamReason.Limit => "limit",
        StreamReason.Answered => "answered",
        _ => "error",
    };

    public static string ToTag(this ClosedBy by) => by switch
    {
        ClosedBy.Client => "client",
        ClosedBy.Path => "path",
        ClosedBy.Upstream => "upstream",
        _ => "gateway",
    };
}
