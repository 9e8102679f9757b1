namespace Mooring.Upstreams;

/// <summary>Who asks a client something and is given the answer: a server on its link, or a task on behalf of its server.</summary>
internal interface IAsker
{
    /// <summary>The server.</summary>
    string Server { get; }

    /// <summary>Whether it can be given anything still.</summary>
    bool IsUsable { get; }

    /// <summary>Gives it a notification or a response; false when it could not be handed over.</summary>
    ValueTask<bool> SendAsync(ReadOnlyMemory<byte> json, CancellationToken cancel);
}
