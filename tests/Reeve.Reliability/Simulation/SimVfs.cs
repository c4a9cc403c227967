using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using Reeve.Server.Storage;
using static Reeve.Reliability.Simulation.SqliteCodes;

namespace Reeve.Reliability.Simulation;

/// <summary>
/// SQLite's file system interface over <see cref="SimDisk"/>, so that the engine's own SQL runs on SQLite itself while
/// every byte goes to a disk that the history can break (https://sqlite.org/vfs.html).
/// </summary>
internal static unsafe class SimVfs
{
    internal const string Name = "reeve-sim";

    private const int PathMax = 256;
    private static readonly IoMethods* Methods = MakeMethods();
    private static readonly bool IsRegistered = Register();

    /// <summary>Makes the file system known to SQLite, once for the process.</summary>
    internal static void Use()
    {
        if (!IsRegistered)
        {
            throw new InvalidOperationException("SQLite did not take the simulated file system.");
        }
    }

    private static bool Register()
    {
        RuntimeHelpers.RunClassConstructor(typeof(Database).TypeHandle); // Its settings come before SQLite's start.
        var vfs = (Vfs*)NativeMemory.AllocZeroed((nuint)sizeof(Vfs));
        vfs->Version = 2;
        vfs->FileBytes = sizeof(OpenFile);
        vfs->PathMax = PathMax;
        vfs->Name = (byte*)Marshal.StringToCoTaskMemUTF8(Name);
        vfs->Open = &Open;
        vfs->Delete = &Delete;
        vfs->Access = &Access;
        vfs->FullPathname = &FullPathname;
        vfs->Randomness = &Randomness;
        vfs->Sleep = &Sleep;
        vfs->CurrentTime = &CurrentTime;
        vfs->GetLastError = &GetLastError;
        vfs->CurrentTimeInt64 = &CurrentTimeInt64;
        return sqlite3_vfs_register(vfs, 0) == Ok;
    }

    [DllImport("e_sqlite3")]
#pragma warning disable CA5393, IDE1006 // The library lies beside the assembly; its own name.
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories | DllImportSearchPath.AssemblyDirectory)]
    private static extern int sqlite3_vfs_register(Vfs* vfs, int makeDefault);
#pragma warning restore CA5393, IDE1006

    private static IoMethods* MakeMethods()
    {
        var methods = (IoMethods*)NativeMemory.AllocZeroed((nuint)sizeof(IoMethods));
        methods->Version = 2;
        methods->Close = &Close;
        methods->Read = &Read;
        methods->Write = &Write;
        methods->Truncate = &Truncate;
        methods->Sync = &Sync;
        methods->FileSize = &FileSize;
        methods->Lock = &Lock;
        methods->Unlock = &Unlock;
        methods->CheckReservedLock = &CheckReservedLock;
        methods->FileControl = &FileControl;
        methods->SectorSize = &SectorSize;
        methods->DeviceCharacteristics = &DeviceCharacteristics;
        methods->ShmMap = &ShmMap;
        methods->ShmLock = &ShmLock;
        methods->ShmBarrier = &ShmBarrier;
        methods->ShmUnmap = &ShmUnmap;
        return methods;
    }

    private static SimHandle Handle(OpenFile* file) => (SimHandle)GCHandle.FromIntPtr(file->Handle).Target!;

    private static int Check(SimHandle handle, bool isSync, int failed) => handle.Process.BeforeWrite(isSync) switch
    {
        SimFault.None => Ok,
        SimFault.Full when !isSync => Full,
        _ => failed,
    };

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Open(Vfs* vfs, byte* name, OpenFile* file, int flags, int* outFlags)
    {
        file->Methods = null;
        var path = name == null ? null : Marshal.PtrToStringUTF8((nint)name);
        if (path is not null && (flags & OpenCreate) == 0 && SimDisk.Current.Find(path) is null)
        {
            return CannotOpen;
        }

        file->Handle = GCHandle.ToIntPtr(GCHandle.Alloc(SimDisk.Current.Open(path)));
        file->Methods = Methods;
        if (outFlags != null)
        {
            *outFlags = flags;
        }

        return Ok;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Delete(Vfs* vfs, byte* name, int syncFolder)
    {
        if (SimDisk.Current.Process is { IsDead: true })
        {
            return IoError;
        }

        SimDisk.Current.Delete(Marshal.PtrToStringUTF8((nint)name)!);
        return Ok;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Access(Vfs* vfs, byte* name, int flags, int* result)
    {
        *result = SimDisk.Current.Find(Marshal.PtrToStringUTF8((nint)name)!) is null ? 0 : 1;
        return Ok;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int FullPathname(Vfs* vfs, byte* name, int bytes, byte* into)
    {
        var path = Encoding.UTF8.GetBytes(Marshal.PtrToStringUTF8((nint)name)!);
        path.CopyTo(new Span<byte>(into, bytes));
        into[path.Length] = 0;
        return Ok;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Randomness(Vfs* vfs, int bytes, byte* into)
    {
        for (var i = 0; i < bytes; i++)
        {
            into[i] = (byte)SimDisk.Current.Random.Next();
        }

        return bytes;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Sleep(Vfs* vfs, int microseconds) => microseconds; // Nobody else runs meanwhile.

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int CurrentTime(Vfs* vfs, double* days)
    {
        *days = 2_461_000;
        return Ok;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int CurrentTimeInt64(Vfs* vfs, long* milliseconds)
    {
        *milliseconds = 2_461_000L * 86_400_000;
        return Ok;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int GetLastError(Vfs* vfs, int bytes, byte* text) => 0;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Close(OpenFile* file)
    {
        var handle = GCHandle.FromIntPtr(file->Handle);
        SimDisk.Current.Close((SimHandle)handle.Target!);
        handle.Free();
        return Ok;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Read(OpenFile* file, byte* into, int bytes, long offset)
    {
        var handle = Handle(file);
        return handle.IsDead ? IoError
            : handle.File.Read(new Span<byte>(into, bytes), offset) ? Ok
            : ShortRead;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Write(OpenFile* file, byte* from, int bytes, long offset)
    {
        var handle = Handle(file);
        var code = Check(handle, isSync: false, IoErrorWrite);
        if (code == Ok)
        {
            handle.File.Write(new ReadOnlySpan<byte>(from, bytes), offset);
        }

        return code;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Truncate(OpenFile* file, long length)
    {
        var handle = Handle(file);
        var code = Check(handle, isSync: false, IoErrorTruncate);
        if (code == Ok)
        {
            handle.File.Truncate(length);
        }

        return code;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Sync(OpenFile* file, int flags)
    {
        var handle = Handle(file);
        var code = Check(handle, isSync: true, IoErrorSync);
        if (code == Ok)
        {
            handle.File.Sync();
        }

        return code;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int FileSize(OpenFile* file, long* size)
    {
        *size = Handle(file).File.Length;
        return Ok;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Lock(OpenFile* file, int level)
    {
        var handle = Handle(file);
        return handle.IsDead ? IoError : handle.File.Lock.TryRaise(handle, level) ? Ok : Busy;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int Unlock(OpenFile* file, int level)
    {
        var handle = Handle(file);
        handle.File.Lock.Lower(handle, level);
        return Ok;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int CheckReservedLock(OpenFile* file, int* result)
    {
        *result = Handle(file).File.Lock.IsReserved ? 1 : 0;
        return Ok;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int FileControl(OpenFile* file, int operation, void* argument) => NotFound;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int SectorSize(OpenFile* file) => 4096;

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int DeviceCharacteristics(OpenFile* file) => PowersafeOverwrite; // As SQLite assumes on Unix.

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int ShmMap(OpenFile* file, int region, int bytes, int extend, void** into)
    {
        var handle = Handle(file);
        if (handle.IsDead)
        {
            return IoError;
        }

        handle.Shared ??= handle.File.Shared ??= new SimSharedMemory();
        *into = (void*)handle.Shared.Map(handle, region, bytes, extend != 0);
        return Ok;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int ShmLock(OpenFile* file, int first, int count, int flags)
    {
        var handle = Handle(file);
        if (handle.Shared is not { } shared || handle.IsDead)
        {
            return handle.IsDead && (flags & ShmUnlock) != 0 ? Ok : IoError;
        }

        if ((flags & ShmUnlock) != 0)
        {
            shared.Unlock(handle, first, count);
            return Ok;
        }

        return shared.TryLock(handle, first, count, (flags & ShmExclusive) != 0) ? Ok : Busy;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void ShmBarrier(OpenFile* file)
    {
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static int ShmUnmap(OpenFile* file, int delete)
    {
        SimDisk.LeaveShared(Handle(file));
        return Ok;
    }

#pragma warning disable CS0649, IDE0044 // SQLite reads what seems to be unread here.
    private struct OpenFile
    {
        internal IoMethods* Methods;
        internal nint Handle;
    }

    private struct Vfs
    {
        internal int Version;
        internal int FileBytes;
        internal int PathMax;
        internal Vfs* Next;
        internal byte* Name;
        internal void* Data;
        internal delegate* unmanaged[Cdecl]<Vfs*, byte*, OpenFile*, int, int*, int> Open;
        internal delegate* unmanaged[Cdecl]<Vfs*, byte*, int, int> Delete;
        internal delegate* unmanaged[Cdecl]<Vfs*, byte*, int, int*, int> Access;
        internal delegate* unmanaged[Cdecl]<Vfs*, byte*, int, byte*, int> FullPathname;
        internal void* LibraryOpen;
        internal void* LibraryError;
        internal void* LibrarySymbol;
        internal void* LibraryClose;
        internal delegate* unmanaged[Cdecl]<Vfs*, int, byte*, int> Randomness;
        internal delegate* unmanaged[Cdecl]<Vfs*, int, int> Sleep;
        internal delegate* unmanaged[Cdecl]<Vfs*, double*, int> CurrentTime;
        internal delegate* unmanaged[Cdecl]<Vfs*, int, byte*, int> GetLastError;
        internal delegate* unmanaged[Cdecl]<Vfs*, long*, int> CurrentTimeInt64;
    }

    private struct IoMethods
    {
        internal int Version;
        internal delegate* unmanaged[Cdecl]<OpenFile*, int> Close;
        internal delegate* unmanaged[Cdecl]<OpenFile*, byte*, int, long, int> Read;
        internal delegate* unmanaged[Cdecl]<OpenFile*, byte*, int, long, int> Write;
        internal delegate* unmanaged[Cdecl]<OpenFile*, long, int> Truncate;
        internal delegate* unmanaged[Cdecl]<OpenFile*, int, int> Sync;
        internal delegate* unmanaged[Cdecl]<OpenFile*, long*, int> FileSize;
        internal delegate* unmanaged[Cdecl]<OpenFile*, int, int> Lock;
        internal delegate* unmanaged[Cdecl]<OpenFile*, int, int> Unlock;
        internal delegate* unmanaged[Cdecl]<OpenFile*, int*, int> CheckReservedLock;
        internal delegate* unmanaged[Cdecl]<OpenFile*, int, void*, int> FileControl;
        internal delegate* unmanaged[Cdecl]<OpenFile*, int> SectorSize;
        internal delegate* unmanaged[Cdecl]<OpenFile*, int> DeviceCharacteristics;
        internal delegate* unmanaged[Cdecl]<OpenFile*, int, int, int, void**, int> ShmMap;
        internal delegate* unmanaged[Cdecl]<OpenFile*, int, int, int, int> ShmLock;
        internal delegate* unmanaged[Cdecl]<OpenFile*, void> ShmBarrier;
        internal delegate* unmanaged[Cdecl]<OpenFile*, int, int> ShmUnmap;
    }
#pragma warning restore CS0649, IDE0044
}

/// <summary>The codes of SQLite's C interface that a file system answers with (https://sqlite.org/rescode.html).</summary>
internal static class SqliteCodes
{
    internal const int Ok = 0;
    internal const int Busy = 5;
    internal const int IoError = 10;
    internal const int NotFound = 12;
    internal const int Full = 13;
    internal const int CannotOpen = 14;
    internal const int ShortRead = IoError | (2 << 8);
    internal const int IoErrorWrite = IoError | (3 << 8);
    internal const int IoErrorSync = IoError | (4 << 8);
    internal const int IoErrorTruncate = IoError | (6 << 8);
    internal const int OpenCreate = 4;
    internal const int ShmUnlock = 1;
    internal const int ShmExclusive = 8;
    internal const int PowersafeOverwrite = 0x1000;
}
