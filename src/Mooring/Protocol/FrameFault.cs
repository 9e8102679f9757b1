namespace Mooring.Protocol;

/// <summary>Why bytes are not a message: the JSON-RPC error code to answer with, and what is wrong in words.</summary>
/// <param name="Code">-32700 or -32600 (JSON-RPC 2.0, section 5.1).</param>
/// <param name="Message">Names what is wrong and where.</param>
/// <param name="Id">The request's id where it could still be read.</param>
internal readonly record struct FrameFault(int Code, string Message, Slice Id = default)
{
    /// <summary>Whether it was to be a request or notification: its id is then the sender's own, and answers nobody.</summary>
    public bool HasMethod { get; init; }
}

/// <summary>Limits of one message.</summary>
/// <param name="Depth">Nested objects and arrays.</param>
internal readonly record struct FrameLimits(int Depth)
{
    public static readonly FrameLimits Default = new(64);

    public static readonly FrameLimits None = new(int.MaxValue);
}
