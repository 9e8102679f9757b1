namespace Mooring.Stores;

/// <summary>Seals what a store holds of people, around a store of any kind. The stores know nothing of it, and registration asks for it.</summary>
internal interface IStoreSeal
{
    IStore Seal(IStore store);

    IReplicaStore Seal(IReplicaStore replicas);
}
