using System.Text;
using Mooring.Protocol;

namespace Mooring.Calls;

/// <summary>How a call ended otherwise than by its server's answer. The same value is the log event, the metric tag and the JSON-RPC error.</summary>
internal enum CallFailure
{
    /// <summary>The server is away or its connection failed; provably not executed.</summary>
    UpstreamUnreachable,

    /// <summary>The server refused it with an HTTP status; not executed as far as it says.</summary>
    UpstreamRefused,

    /// <summary>It was sent and the answer never came or was none: executed or not, nobody can say.</summary>
    OutcomeUnknown,

    /// <summary>No answer and no progress for the deadline; cancelled at the server.</summary>
    TimedOut,

    /// <summary>The server's places and its queue are taken.</summary>
    Busy,

    /// <summary>The gateway stops and the call did not finish in time.</summary>
    Draining,

    /// <summary>Its person has to link an account first; its server never heard of it.</summary>
    AccountNeeded,

    /// <summary>It had to be on record first and the store did not take it; its server never heard of it.</summary>
    NotRecorded,
}

/// <summary>What a failure looks like to the client and in metrics.</summary>
internal static class CallFailures
{
    public static string ToTag(this CallFailure failure) => failure switch
    {
        CallFailure.UpstreamUnreachable => "upstream_unreachable",
        CallFailure.UpstreamRefused => "upstream_refused",
        CallFailure.OutcomeUnknown => "outcome_unknown",
        CallFailure.TimedOut => "timed_out",
        CallFailure.Busy => "busy",
        CallFailure.NotRecorded => "not_recorded",
        CallFailure.AccountNeeded => "account_needed",
        _ => "draining",
    };

    /// <summary>The error response: a sentence for people, and under <c>data.mooring</c> the same for programs.</summary>
    public static byte[] ToResponse(this CallFailure failure, ReadOnlySpan<byte> id, string server, string detail)
    {
        var message = failure switch
        {
            CallFailure.UpstreamUnreachable => $"Server \"{server}\" cannot be reached: {detail}. The request was not executed.",
            CallFailure.UpstreamRefused => $"Server \"{server}\" refused the request: {detail}.",
            CallFailure.OutcomeUnknown => $"Outcome unknown: server \"{server}\" was sent the request, but {detail}. It may or may not have been executed; it is not sent again.",
            CallFailure.TimedOut => $"Server \"{server}\" gave no answer and no progress in time ({detail}); the request was cancelled there. It may or may not have been executed.",
            CallFailure.Busy => $"Server \"{server}\" has too many requests under way and waiting ({detail}). The request was not executed; try again.",
            CallFailure.NotRecorded => $"The request was not sent to server \"{server}\", since it could not be put on record first: {detail}. It was not executed; try again.",
            _ => $"The gateway is stopping and server \"{server}\" had not answered yet. The request may or may not have been executed.",
        };
        var executed = failure is CallFailure.UpstreamUnreachable or CallFailure.Busy or CallFailure.NotRecorded ? "no" : failure == CallFailure.UpstreamRefused ? "refused" : "unknown";
        byte[] data =
        [
            .. "{\"mooring\":{\"reason\":\""u8, .. Encoding.ASCII.GetBytes(failure.ToTag()), .. "\",\"server\":"u8, .. JsonText.Quote(server),
            .. ",\"executed\":\""u8, .. Encoding.ASCII.GetBytes(executed), .. "\"}}"u8,
        ];
        return JsonRpc.Error(id, JsonRpc.InternalError, message, data);
    }
}
