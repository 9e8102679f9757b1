using Mooring.Stores;

namespace Mooring.Calls;

/// <summary>Sees to calls whose process is gone, and which are this process's by then: its next heir finds what is not done.</summary>
internal interface ICallHeir
{
    /// <summary>Has this process go on with a call.</summary>
    void GoOn(LeftCall call);

    /// <summary>
    /// Says how the call of a record ended to its client, on whichever stream that has, and then has the record end (<see cref="CallsLeftBehind.CloseAsync"/>).
    /// </summary>
    /// <param name="record">The call's.</param>
    /// <param name="answer">What it ended with, on one line.</param>
    void Tell(StreamRecord record, byte[] answer);
}
