using Mooring.Stores;

namespace Mooring.Streams;

/// <content>What can be done on a stream, one after the other.</content>
internal sealed partial class EventStream
{
    private abstract class Step
    {
        /// <summary>Bytes of the message it holds while it waits.</summary>
        public virtual int Bytes => 0;
    }

    private sealed class OpenStep(StreamRecord record, bool primer, Action<string?> opened) : Step
    {
        public StreamRecord Record => record;

        public bool Primer => primer;

        public Action<string?> Opened => opened;
    }

    private sealed class MessageStep(byte[] line, string? requestId, bool finishes, EventOrigin? origin, bool isOld, PassedMessage? passed, CallCursor? place) : Step
    {
        public byte[] Line => line;

        public string? RequestId => requestId;

        public bool Finishes => finishes;

        public EventOrigin? Origin => origin;

        /// <summary>Where another replica passed it on.</summary>
        public PassedMessage? Passed => passed;

        /// <summary>Whether it is in memory alone, until somebody listens.</summary>
        public bool Waits { get; set; }

        /// <summary>Where it stood at the server of the stream's call.</summary>
        public CallCursor? Place => place;

        /// <summary>What the log knows it by; null: nothing but its place.</summary>
        public string? Key => requestId ?? passed?.Key ?? place?.Key;

        /// <summary>Whether it waits for the store.</summary>
        public bool IsLate { get; set; }

        /// <summary>Whether it waited for a reader: such go at the reader's pace.</summary>
        public bool IsOld => isOld;

        /// <summary>The sequence under which the store was last asked to take it; 0: it never was.</summary>
        public long Tried { get; set; }

        /// <summary>Whether a client saw it, without an event id.</summary>
        public bool WasShown { get; set; }

        /// <summary>Whether the store says that it is not the next one of its server's stream.</summary>
        public bool WasRefused { get; set; }

        /// <summary>Whether the request that it answers was answered by another replica, which took this one for dead.</summary>
        public bool IsMoot { get; set; }

        public override int Bytes => line.Length;
    }

    private sealed class AttachStep(SseConnection connection, long? after) : Step
    {
        public SseConnection Connection => connection;

        public long? After => after;
    }

    private sealed class FinishStep(StreamState state) : Step
    {
        public StreamState State => state;
    }

    private sealed class ShowStep(byte[] line) : Step
    {
        public byte[] Line => line;
    }

    private sealed class CatchUpStep : Step;

    private sealed class TakeWaitingStep : Step
    {
        public TaskCompletionSource<IReadOnlyList<WaitingLine>> Taken { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    private sealed class KeepStep : Step;

    private sealed class SettleStep : Step
    {
        public TaskCompletionSource Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
