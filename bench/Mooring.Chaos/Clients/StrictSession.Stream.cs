using System.Net;
using static Mooring.Chaos.Clients.Talk;

namespace Mooring.Chaos.Clients;

/// <content>The standalone stream: held all the time, opened again with its last event id whenever it ends.</content>
internal sealed partial class StrictSession
{
    /// <summary>One in ten: these stop reading when a round says so.</summary>
    private bool CanStall => index % 10 == 5;

    private async Task ListenAsync(CancellationToken over)
    {
        var state = new ListenState();
        try
        {
            while (true)
            {
                Task opened;
                lock (_gate)
                {
                    opened = _opened.Task;
                }

                await opened.WaitAsync(over);
                if (Current() is { } session)
                {
                    if (session != state.Session)
                    {
                        state = new ListenState { Session = session };
                    }

                    await ListenOnceAsync(state, session, over);
                }
            }
        }
        catch (OperationCanceledException) when (over.IsCancellationRequested)
        {
            // The session is done.
        }
    }

    private async Task ListenOnceAsync(ListenState state, string session, CancellationToken over)
    {
        _journal.Write($"asks for a stream after {state.LastEventId ?? "nothing"}");
        try
        {
            using var response = await http.AskAsync(Get(session, state.LastEventId), over);
            _journal.Write($"stream {++state.Number}: {(int)response.StatusCode}");
            switch (response.StatusCode)
            {
                case HttpStatusCode.OK:
                    if (state.LastEventId is null && state.MayHaveBeenTold)
                    {
                        _events.BrokeWithoutId();
                    }

                    state.MayHaveBeenTold = true;
                    if (state.Broke is { } broke)
                    {
                        tally.Resumptions.Add((TimeProvider.System.GetElapsedTime(broke) - state.Retry).TotalMilliseconds);
                    }

                    await ReadAsync(state, response, over);
                    _journal.Write($"stream {state.Number} ended");
                    over.ThrowIfCancellationRequested();
                    tally.Reconnected();
                    state.Broke = TimeProvider.System.GetTimestamp();
                    break;
                case HttpStatusCode.NotFound:
                    SessionLost(session, "its stream");
                    return;
                case HttpStatusCode.MethodNotAllowed when state.LastEventId is not null:
                    // Over for good: a new one then.
                    (state.LastEventId, state.MayHaveBeenTold) = (null, false);
                    return;
                default:
                    tally.Waited();
                    await Task.Delay(Later(response), over);
                    return;
            }
        }
        catch (Exception e) when (IsTransport(e) && !over.IsCancellationRequested)
        {
            // It may have reached the gateway, and all that it carried been lost.
            state.MayHaveBeenTold |= !WasNotSent(e);
            _journal.Write($"no stream: {e.GetType().Name}: {e.Message}");
            await Task.Delay(Pause, over);
            return;
        }

        await Task.Delay(state.Retry, over);
    }

    private async Task ReadAsync(ListenState state, HttpResponseMessage response, CancellationToken over)
    {
        using var reader = await EventReader.OfAsync(response);
        while (await reader.NextAsync(over) is { } block)
        {
            state.LastEventId = block.Id ?? state.LastEventId;
            state.Retry = block.Retry is { } milliseconds ? TimeSpan.FromMilliseconds(milliseconds) : state.Retry;
            if (block.Message is { } message)
            {
                _events.Saw(message, $"on stream {state.Number}, id {block.Id}");
            }

            if (CanStall)
            {
                await conduct.MayReadAsync(over);
            }
        }
    }

    private sealed class ListenState
    {
        public string? Session { get; init; }

        public string? LastEventId { get; set; }

        public TimeSpan Retry { get; set; } = Pause;

        /// <summary>Of the connection, for the journal.</summary>
        public int Number { get; set; }

        /// <summary>Whether the gateway may have told something on an earlier connection.</summary>
        public bool MayHaveBeenTold { get; set; }

        /// <summary>When the last stream broke.</summary>
        public long? Broke { get; set; }
    }
}
