using System.Threading.Channels;

namespace Mooring.Stores;

/// <summary>Signals within the one process that has the store. Made and disposed by the service container.</summary>
internal sealed class LocalSignals : IStoreSignals
{
    private readonly Lock _gate = new();
    private readonly List<Listening> _listening = [];

    public Task PublishAsync(string replica, string kind, string id)
    {
        IStoreSignals.Check(kind, id);
        lock (_gate)
        {
            foreach (var one in _listening)
            {
                if (one.Replica == replica)
                {
                    one.Tell((kind, id));
                }
            }
        }

        return Task.CompletedTask;
    }

    public IAsyncDisposable Listen(string replica, SignalListener listener)
    {
        var one = new Listening(this, replica, listener);
        lock (_gate)
        {
            _listening.Add(one);
        }

        one.Start();
        return one;
    }

    public async ValueTask DisposeAsync()
    {
        Listening[] all;
        lock (_gate)
        {
            all = [.. _listening];
        }

        foreach (var one in all)
        {
            await one.DisposeAsync();
        }
    }

    /// <summary>Takes signals over from the publisher's thread, which may hold locks that the listener wants.</summary>
    private sealed class Listening(LocalSignals owner, string replica, SignalListener listener) : IAsyncDisposable
    {
        private readonly Channel<(string Kind, string Id)> _signals = Channel.CreateUnbounded<(string, string)>(new() { SingleReader = true });
        private Task _telling = Task.CompletedTask;

        public string Replica => replica;

        public void Start() => _telling = TellAsync();

        public void Tell((string Kind, string Id) signal) => _signals.Writer.TryWrite(signal);

        public async ValueTask DisposeAsync()
        {
            lock (owner._gate)
            {
                owner._listening.Remove(this);
            }

            _signals.Writer.TryComplete();
            await _telling;
        }

        private async Task TellAsync()
        {
            await Task.Yield();
            listener.CaughtUp();
            var waiting = new List<(string Kind, string Id)>();
            while (await _signals.Reader.WaitToReadAsync())
            {
                // What came several times while the listener was busy is one signal; what comes while it is told is another: the listener has looked before.
                waiting.Clear();
                while (_signals.Reader.TryRead(out var signal))
                {
                    waiting.Add(signal);
                }

                foreach (var (kind, id) in waiting.Distinct())
                {
                    listener.Signal(kind, id);
                }
            }
        }
    }
}
