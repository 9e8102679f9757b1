using System.Net;

namespace Mooring.Chaos.Clients;

/// <content>The standalone stream: held all the time, opened again with its last event id whenever it ends.</content>
internal sealed partial class StrictSession
{
    /// <summary>Whether a stream begins with an event id.</summary>
    private bool HasPrimer => version == "2025-11-25";

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
        try
        {
            using var response = await SendAsync(Get(session, state.LastEventId), over);
            switch (response.StatusCode)
            {
                case HttpStatusCode.OK:
                    if (state.Broke is { } broke)
                    {
                        if (state.LastEventId is null && !HasPrimer)
                        {
                            _events.BrokeWithoutId();
                        }

                        tally.Resumptions.Add((TimeProvider.System.GetElapsedTime(broke) - state.Retry).TotalMilliseconds);
                    }

                    await ReadAsync(state, response, over);
                    over.ThrowIfCancellationRequested();
                    tally.Reconnected();
                    state.Broke = TimeProvider.System.GetTimestamp();
                    break;
                case HttpStatusCode.NotFound:
                    SessionLost(session, "its stream");
                    return;
                case HttpStatusCode.MethodNotAllowed when state.LastEventId is not null:
                    // Over for good: a new one then.
                    state.LastEventId = null;
                    return;
                default:
                    tally.Waited();
                    await Task.Delay(Later(response), over);
                    return;
            }
        }
        catch (Exception e) when (IsTransport(e) && !over.IsCancellationRequested)
        {
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
                _events.Saw(message);
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

        /// <summary>When the last stream broke.</summary>
        public long? Broke { get; set; }
    }
}
