using System.Diagnostics;
using Mooring.Protocol;
using Mooring.Telemetry;

namespace Mooring.Calls;

/// <summary>
/// One activity for each call, from when it is begun until it is answered, with the tags of <c>mooring.call.duration</c>. Where nobody listens none is made,
/// and nothing is looked at.
/// </summary>
internal static class CallTraces
{
    /// <summary>Outcome of the part of a call before another replica began with it.</summary>
    public const string PassedOn = "passed_on";

    private const string Name = "mooring.call";

    private static readonly ActivitySource Source = new(MooringMeter.Name);

    /// <summary>Begins the activity of a call; null where nobody wants it. It is current for whatever the asking method does from here on.</summary>
    public static Activity? Begin(Call call) => Source.HasListeners()
        ? Source.StartActivity(Name, ActivityKind.Client, ParentOf(call), [new("server", call.Upstream.Name)])
        : null;

    public static void End(Activity? trace, string outcome)
    {
        if (trace is null)
        {
            return;
        }

        trace.SetTag("outcome", outcome);
        if (outcome is not ("result" or "cancelled" or PassedOn))
        {
            trace.SetStatus(ActivityStatusCode.Error);
        }

        trace.Stop();
    }

    /// <summary>What the message says itself, and otherwise what its HTTP request does: the activity of the web server where it makes one, else its headers.</summary>
    private static ActivityContext ParentOf(Call call)
    {
        var meta = call.Request.Span(call.Request.Envelope.Meta);
        if (!ActivityContext.TryParse(JsonFields.String(meta, "traceparent"u8), JsonFields.String(meta, "tracestate"u8), isRemote: true, out var parent) && Activity.Current is null)
        {
            _ = ActivityContext.TryParse(call.Reply.Trace.Parent, call.Reply.Trace.State, isRemote: true, out parent);
        }

        return parent;
    }
}
