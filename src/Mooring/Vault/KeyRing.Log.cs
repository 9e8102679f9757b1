namespace Mooring.Vault;

/// <content>What is logged.</content>
internal sealed partial class KeyRing
{
    private static partial class Log
    {
        [LoggerMessage(1401, LogLevel.Warning, "A key for what the store holds was made in {Path}. Keep a copy of it apart from the store: without it nothing of what is sealed can be read again.", EventName = "VaultKeyMade")]
        public static partial void KeyFileMade(ILogger logger, string path);

        [LoggerMessage(1402, LogLevel.Information, "Data key {Number} of the store is wrapped by {Wrapper} now; nothing needs the older one for it.", EventName = "VaultKeyRewrapped")]
        public static partial void Rewrapped(ILogger logger, uint number, string wrapper);

        [LoggerMessage(1403, LogLevel.Information, "The store's rows are sealed with data key {Number} from now on.", EventName = "VaultKeyRotated")]
        public static partial void Rotated(ILogger logger, uint number);

        [LoggerMessage(1405, LogLevel.Error, "A row of {Table} does not open: {Reason}.", EventName = "SealedRowUnreadable")]
        public static partial void DoesNotOpen(ILogger logger, string table, string reason);

        [LoggerMessage(1404, LogLevel.Warning, "Another replica made the store's key at the same time, so {Path} is taken back. Give this replica the other's key file, and name it with vault.keyFile.", EventName = "VaultKeyTakenBack")]
        public static partial void KeyFileTakenBack(ILogger logger, string path);
    }
}
