namespace Mooring.Vault;

/// <summary>How rows are written.</summary>
internal enum Sealing
{
    /// <summary>Not decided: the keys or the store were not had yet.</summary>
    Unknown,

    /// <summary>In clear, for a release beside this one, or before it, that reads nothing else.</summary>
    Off,

    /// <summary>Sealed.</summary>
    On,
}
