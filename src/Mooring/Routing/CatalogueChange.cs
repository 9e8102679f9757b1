namespace Mooring.Routing;

/// <summary>A shared list that is now another one.</summary>
/// <param name="Server">Whose.</param>
/// <param name="Key">Under which conditions it is shown.</param>
/// <param name="List">The new one.</param>
/// <param name="WasTold">Whether those who may have been shown the one before were told already to ask again.</param>
/// <param name="IsFirst">Whether none was known before; a session's own link may have shown one all the same.</param>
/// <param name="IsNews">Whether another process read it.</param>
internal readonly record struct CatalogueChange(string Server, string Key, ServerList List, bool WasTold, bool IsFirst, bool IsNews);

/// <summary>What speaks against a shared list, and since when. Not kept over a restart: a list is then as good as the last one proven.</summary>
/// <param name="Kind">What.</param>
/// <param name="Turn">The last time that it was heard: only a list asked for later answers it.</param>
internal readonly record struct Doubted(CatalogueDoubt Kind, long Turn);

/// <summary>What speaks against a shared list.</summary>
internal enum CatalogueDoubt
{
    None,

    /// <summary>One session's own link was shown another list; those without a link of their own know nothing of it.</summary>
    Untold,

    /// <summary>The server said that its list is another one, and everybody was told.</summary>
    Told,
}
