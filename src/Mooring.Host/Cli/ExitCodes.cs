namespace Mooring.Host.Cli;

/// <summary>What every verb answers to the shell.</summary>
internal static class ExitCodes
{
    public const int Fine = 0;

    /// <summary>The thing that was looked at is not fine.</summary>
    public const int NotFine = 1;

    /// <summary>Wrong usage or configuration.</summary>
    public const int Usage = 2;

    /// <summary>Something outside cannot be reached or had: an address in use, a store that another process holds.</summary>
    public const int Unreachable = 3;
}
