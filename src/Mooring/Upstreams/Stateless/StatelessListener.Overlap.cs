using Mooring.Protocol;

namespace Mooring.Upstreams.Stateless;

/// <content>
/// Two subscriptions at a time, while one takes the other's place. What the server tells by both is passed on once, and what it told by the one before
/// alone, because it had not taken the next one yet, is not lost: each kind of message is passed on as often as the one that has it more often says it.
/// </content>
internal sealed partial class StatelessListener
{
    /// <summary>How long the one before is heard on: what the server wrote there before it took the next one is read by then.</summary>
    private static readonly TimeSpan Linger = TimeSpan.FromSeconds(1);

    private Subscription? _before;
    private Subscription? _next;
    private Dictionary<string, (int Before, int Next, int Passed)> _counts = new(StringComparer.Ordinal);

    /// <summary>Completes when the one before broke while it was heard on: what the server wrote there before it took the next one may not have come.</summary>
    private volatile TaskCompletionSource _lost = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private void Overlap(Subscription? before, Subscription? next)
    {
        lock (_gate)
        {
            if (_before != before)
            {
                _before?.End();
            }

            (_before, _next, _counts) = (before, next, new(StringComparer.Ordinal));
        }
    }

    /// <summary>A notification, as one of a server with sessions.</summary>
    private void Hear(Subscription by, Frame frame)
    {
        if (frame.Method is not (McpMethod.ToolsListChanged or McpMethod.PromptsListChanged or McpMethod.ResourcesListChanged or McpMethod.ResourcesUpdated))
        {
            return;
        }

        // Told while nothing else is: two subscriptions are read at once, and what one of them says is news or not by what the other has told.
        lock (_telling)
        {
            if (IsNews(by, frame))
            {
                link.Owner.OnMessage(link, WithoutId(frame), related: null);
            }
        }
    }

    private static Frame WithoutId(Frame frame)
    {
        if (!frame.Envelope.Meta.IsPresent)
        {
            return frame;
        }

        var meta = JsonFields.Without(frame.Span(frame.Envelope.Meta), Subscription.IdKey);
        var parameters = frame.Span(frame.Envelope.Params);
        parameters = JsonFields.Find(parameters, "_meta"u8) is { IsPresent: true } at && meta.AsSpan().IndexOf((byte)'"') >= 0
            ? JsonFields.Splice(parameters, at, meta)
            : JsonFields.Without(parameters, "_meta"u8);
        return Frame.Parse(JsonFields.Splice(frame.Bytes, frame.Envelope.Params, parameters));
    }

    private bool IsNews(Subscription by, Frame frame)
    {
        lock (_gate)
        {
            if (_before is null || (by != _before && by != _next))
            {
                return true;
            }

            var what = frame.Envelope.Uri.IsPresent ? $"{frame.Method} {frame.Text(frame.Envelope.Uri)}" : frame.Method.ToString();
            var (before, next, passed) = _counts.GetValueOrDefault(what);
            (before, next) = by == _before ? (before + 1, next) : (before, next + 1);
            var isNews = Math.Max(before, next) > passed;
            _counts[what] = (before, next, Math.Max(before, next));
            return isNews;
        }
    }

    /// <summary>Ends the one before, in a while.</summary>
    private async Task EndAsync(Subscription? before, CancellationToken cancel)
    {
        if (before is null)
        {
            return;
        }

        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        await Task.WhenAny(before.Ended, Task.Delay(Linger, time, over.Token));
        await over.CancelAsync();
        if (before is { Ended.IsCompleted: true, WasLeft: false } && (await before.Ended).Kind != AttemptKind.Answered)
        {
            _lost.TrySetResult();
        }

        lock (_gate)
        {
            if (_before == before)
            {
                (_before, _next) = (null, null);
            }
        }

        before.End();
    }
}
