using Mooring.Stores;

namespace Mooring.Tests;

/// <summary>Signals that are lost at will.</summary>
internal sealed class LossySignals : IStoreSignals
{
    private readonly LocalSignals _inner = new();
    private Action? _lost;

    /// <summary>Whether every signal is lost.</summary>
    public bool LosesAll { get; set; }

    public Task PublishAsync(string replica, string kind, string id) => LosesAll ? Task.CompletedTask : _inner.PublishAsync(replica, kind, id);

    public IAsyncDisposable Listen(string replica, SignalListener listener)
    {
        _lost += listener.Lost;
        return _inner.Listen(replica, listener);
    }

    /// <summary>The connections that listen break, as everybody notices, and stay so.</summary>
    public void Break()
    {
        LosesAll = true;
        _lost?.Invoke();
    }

    public ValueTask DisposeAsync() => _inner.DisposeAsync();
}
