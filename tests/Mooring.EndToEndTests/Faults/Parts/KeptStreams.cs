using System.Collections.Concurrent;
using System.Globalization;
using Microsoft.AspNetCore.Http;

namespace Mooring.EndToEndTests.Faults.Parts;

/// <summary>Answers of a server that go on whoever listens: each event has an id, <c>kept-{stream}-{place}</c>, from which it can be asked for again.</summary>
internal sealed class KeptStreams
{
    private readonly ConcurrentDictionary<int, Kept> _streams = new();
    private int _last;

    /// <summary>Executes a request whether or not anybody listens: it is answered when that is released.</summary>
    public async Task BeginAsync(HttpContext context, Task released, string answer, CancellationToken running)
    {
        var number = Interlocked.Increment(ref _last);
        var kept = _streams[number] = new Kept();
        kept.Add("", isLast: false);
        _ = AnswerAsync();
        await ShowAsync(context, number, after: 0, running);

        async Task AnswerAsync()
        {
            await released;
            kept.Add(answer, isLast: true);
        }
    }

    /// <summary>Those that were ever begun.</summary>
    public int Count => _streams.Count;

    /// <summary>Says something on all that are not over.</summary>
    public void Say(string json)
    {
        foreach (var kept in _streams.Values)
        {
            kept.Add(json, isLast: false);
        }
    }

    /// <returns>False where nobody asks for the rest of one.</returns>
    public async Task<bool> ResumeAsync(HttpContext context, CancellationToken running)
    {
        if (context.Request.Headers["Last-Event-ID"].ToString().Split('-') is not ["kept", var number, var place])
        {
            return false;
        }

        await ShowAsync(context, int.Parse(number, CultureInfo.InvariantCulture), int.Parse(place, CultureInfo.InvariantCulture), running);
        return true;
    }

    /// <summary>Shows what comes after an event, until the last.</summary>
    private async Task ShowAsync(HttpContext context, int number, int after, CancellationToken running)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, running);
        var cancel = over.Token;
        context.Response.ContentType = "text/event-stream";
        await context.Response.Body.FlushAsync(cancel);
        var kept = _streams[number];
        while (true)
        {
            var (events, isOver, more) = kept.After(after);
            foreach (var json in events)
            {
                after++;
                await context.Response.WriteAsync(string.Create(CultureInfo.InvariantCulture, $"id: kept-{number}-{after}\ndata: {json}\n\n"), cancel);
            }

            await context.Response.Body.FlushAsync(cancel);
            if (isOver)
            {
                return;
            }

            await more.WaitAsync(cancel);
        }
    }

    private sealed class Kept
    {
        private readonly Lock _gate = new();
        private readonly List<string> _events = [];
        private TaskCompletionSource _more = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private bool _isOver;

        public void Add(string json, bool isLast)
        {
            lock (_gate)
            {
                if (_isOver)
                {
                    return;
                }

                _events.Add(json);
                _isOver = isLast;
                _more.TrySetResult();
                _more = new(TaskCreationOptions.RunContinuationsAsynchronously);
            }
        }

        public (string[] Events, bool IsOver, Task More) After(int place)
        {
            lock (_gate)
            {
                return ([.. _events.Skip(place)], _isOver, _more.Task);
            }
        }
    }
}
