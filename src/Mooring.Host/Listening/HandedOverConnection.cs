using System.IO.Pipelines;
using System.Net;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http.Features;

namespace Mooring.Host.Listening;

/// <summary>
/// A connection as its second endpoint sees it. The socket belongs to the first one, so disposing this only tells it that the
/// second is done.
/// </summary>
internal sealed class HandedOverConnection : ConnectionContext
{
    private readonly ConnectionContext _inner;
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public HandedOverConnection(ConnectionContext inner)
    {
        _inner = inner;
        ConnectionId = inner.ConnectionId;
        // On top of the first endpoint's features: the second one puts in its own of the same kind.
        Features = new FeatureCollection(inner.Features);
        Items = inner.Items;
        Transport = inner.Transport;
        LocalEndPoint = inner.LocalEndPoint;
        RemoteEndPoint = inner.RemoteEndPoint;
        ConnectionClosed = inner.ConnectionClosed;
    }

    /// <summary>Completes when the second endpoint is done with the connection.</summary>
    public Task Ended => _ended.Task;

    public override string ConnectionId { get; set; }

    public override IFeatureCollection Features { get; }

    public override IDictionary<object, object?> Items { get; set; }

    public override IDuplexPipe Transport { get; set; }

    public override EndPoint? LocalEndPoint { get; set; }

    public override EndPoint? RemoteEndPoint { get; set; }

    public override CancellationToken ConnectionClosed { get; set; }

    public override void Abort(ConnectionAbortedException abortReason) => _inner.Abort(abortReason);

    public override ValueTask DisposeAsync()
    {
        _ended.TrySetResult();
        return base.DisposeAsync();
    }
}
