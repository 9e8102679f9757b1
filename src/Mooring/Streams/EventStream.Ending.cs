namespace Mooring.Streams;

/// <content>The end of the stream's session.</content>
internal sealed partial class EventStream
{
    private StreamReason? _ended;

    /// <summary>Ends the connection, also one that is still to be attached. The log is none of its business: the session's rows are gone, or for others to go on with.</summary>
    public void End(StreamReason reason)
    {
        SseConnection? connection;
        lock (_gate)
        {
            _ended = reason;
            connection = _connection;
        }

        connection?.Complete(reason, ClosedBy.Gateway);
    }
}
