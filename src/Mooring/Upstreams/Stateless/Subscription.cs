using System.Net.Http.Headers;
using Mooring.Protocol;

namespace Mooring.Upstreams.Stateless;

/// <summary>One <c>subscriptions/listen</c>, from its begin to its end (2026-07-28, basic/patterns/subscriptions).</summary>
internal sealed class Subscription : StatelessRequest, IDisposable
{
    private readonly StatelessLink _link;
    private readonly Frame _request;
    private readonly Action<Subscription, Frame> _heard;
    private readonly CancellationTokenSource _ending = new();
    private readonly CancellationToken _cancel;
    private readonly TaskCompletionSource _acknowledged = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <param name="link">Whose.</param>
    /// <param name="filter">What is asked for, raw JSON.</param>
    /// <param name="version">Of the wishes that it is for.</param>
    /// <param name="heard">Gets each notification after the acknowledgement.</param>
    /// <param name="cancel">Ends it.</param>
    public Subscription(StatelessLink link, byte[] filter, long version, Action<Subscription, Frame> heard, CancellationToken cancel)
    {
        _link = link;
        _heard = heard;
        Version = version;
        _cancel = cancel;
        Abandoned = _ending.Token;
        _request = Frame.Parse(JsonRpc.Request(Id, "subscriptions/listen", [.. "{\"notifications\":"u8, .. filter, (byte)'}']));
    }

    /// <summary>The key in <c>_meta</c> that says by which request a notification is heard.</summary>
    public static ReadOnlySpan<byte> IdKey => "io.modelcontextprotocol/subscriptionId"u8;

    public long Version { get; }

    /// <summary>Completes when the server has said what it will tell of; never where it does not.</summary>
    public Task Acknowledged => _acknowledged.Task;

    /// <summary>What the server will tell of, raw JSON; empty: it did not say, so all.</summary>
    public byte[] Honoured { get; private set; } = [];

    /// <summary>How it ended.</summary>
    public Task<Attempt> Ended { get; private set; } = null!;

    /// <summary>Whether anything came by it.</summary>
    public bool HasTold { get; private set; }

    public bool WasEndedByServer { get; private set; }

    /// <summary>Whether nobody wanted it any more, before it ended by itself.</summary>
    public bool WasLeft { get; private set; }

    public override CancellationToken Abandoned { get; }

    public override Message ToMessage() => _link.Write(new Message(_request), Id, level: null, more: []);

    public override void Repeat(HttpContentHeaders headers) => headers.TryAddWithoutValidation("Mcp-Method", "subscriptions/listen");

    public void Begin(IStatelessLeg leg) => Ended = RunAsync(leg);

    private async Task<Attempt> RunAsync(IStatelessLeg leg)
    {
        // Linked only for as long as it lasts: a link has many of them.
        await using var registration = _cancel.UnsafeRegister(static state => ((Subscription)state!).End(), this);
        try
        {
            return await leg.CallAsync(this);
        }
        finally
        {
            Dispose();
        }
    }

    /// <summary>Nobody wants it any more.</summary>
    public void End()
    {
        WasLeft |= Ended is { IsCompleted: false };
        try
        {
            _ending.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // It is over already.
        }
    }

    public void Dispose() => _ending.Dispose();

    /// <summary>The server says on a channel that it is over.</summary>
    public void EndByServer()
    {
        WasEndedByServer = true;
        End();
    }

    public override void OnRelated(Link link, Frame frame)
    {
        if (Abandoned.IsCancellationRequested)
        {
            return;
        }

        if (frame.Kind == FrameKind.Request)
        {
            _link.RefuseStray(frame);
            return;
        }

        if (frame.Method == McpMethod.SubscriptionsAcknowledged)
        {
            var parameters = frame.Span(frame.Envelope.Params);
            var at = JsonFields.Find(parameters, "notifications"u8);
            Honoured = at.IsPresent ? parameters.Slice(at.Start, at.Length).ToArray() : [];
            _acknowledged.TrySetResult();
            return;
        }

        // It should have come after that; it is true all the same.
        _acknowledged.TrySetResult();
        HasTold = true;
        _heard(this, frame);
    }

    public override Task ReadyAsync() => _link.Owner.ReadyAsync();

    /// <summary>Whether the server will tell of a kind of change, or of a resource.</summary>
    public bool Honours(string key) => Honoured.Length == 0 || JsonFields.IsTrue(Honoured, System.Text.Encoding.ASCII.GetBytes(key));

    /// <inheritdoc cref="Honours"/>
    public bool HonoursResource(string uri)
    {
        if (Honoured.Length == 0)
        {
            return true;
        }

        foreach (var at in JsonFields.Elements(Honoured, "resourceSubscriptions"u8))
        {
            if (JsonText.Read(Honoured.AsSpan(at.Start, at.Length)) == uri)
            {
                return true;
            }
        }

        return false;
    }
}
