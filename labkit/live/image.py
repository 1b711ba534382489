"""first version"""
from __future__ import annotations
import contextlib, fcntl, hashlib, json, os, platform, shutil, stat, sysconfig, tempfile, time, tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
import labkit.live
from labkit.host import HostError
from labkit.live.image_files import Tree, kernel_as_elf, modules_with_dependencies
from labkit.live.image_packages import Packages, run
from labkit.live.places import cache_root

@dataclass(frozen=True)
class Image:
    kernel: Path
    initrd: Path
    tools: Path
    cmdline: str
    digest: str
    manifest: Path

def build(progress: Callable[[str, float], None] = lambda _s, _f: None) -> Image:
    images = Path(__file__).parents[2] / "images"
    recipe = tomllib.loads((images / "packages.toml").read_text())
    arch = recipe["architecture"][platform.machine()]
    home = cache_root() / "image"; home.mkdir(exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".making-", dir=home))
    try:
        packages = Packages(work, lambda s: progress(s, 0.1))
        kernel_package = packages.newest_of(arch["kernel"])
        first = packages.take(kernel_package, *recipe["boot"], *recipe["tools"], recipe["maker"]["package"])
        kernel = first[0]
        made = work / "made"; made.mkdir()
        tree = Tree()
        for d in ("dev","proc","sys","root","mnt","tools","run","var","etc/acpi/PWRF"): tree.directory(d)
        tree.directory("tmp", 0o1777)
        tree.link("sbin","bin"); tree.link("usr/bin","/tools/bin"); tree.link("usr/lib","/tools/lib"); tree.link("usr/sbin","../bin"); tree.link("var/run","../run"); tree.link("etc/acpi/PWRF/00000080", "/bin/shutdown")
        tree.device("dev/console",5,1)
        bb = packages.taken["busybox-static"].root/"bin/busybox"
        for name in run([bb,"--list"], work, "busybox runs").split():
            tree.link(f"bin/{name}","busybox")
        bootlibs=set()
        for name, files in recipe["boot"].items():
            package = packages.taken[name]
            for inside, target in files.items():
                tree.add(target, (package.root/inside).read_bytes(), 0o755)
            for lib, file in packages.libraries(package,[package.root/i for i in files]).items():
                bootlibs.add(lib)
                tree.add(lib.lstrip("/") if "/" in lib else f"lib/{lib}", file.read_bytes(), 0o755)
        tree.add("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n"); tree.add("etc/group", b"root:x:0:\n")
        (moddir,) = (kernel.root/"lib/modules").iterdir()
        m = recipe["modules"]
        mods = modules_with_dependencies(moddir, m["agent"]+m["devices"]+m["later"])
        dep=[]
        for name,(content,_n) in sorted(mods.items()):
            tree.add(f"lib/modules/{moddir.name}/{name}.ko", content)
            order=[]
            def visit(n, order=order):
                for k in mods[n][1]:
                    if k in mods:
                        visit(k)
                        if k not in order: order.append(k)
            visit(name)
            dep.append(f"{name}.ko:"+"".join(f" {k}.ko" for k in reversed(order)))
        tree.add(f"lib/modules/{moddir.name}/modules.dep", ("\n".join(dep)+"\n").encode())
        init=(images/"init").read_text().replace("@AGENT@"," ".join(m["agent"])).replace("@DEVICES@"," ".join(m["devices"]))
        tree.add("init", init.encode(), 0o755); tree.add("bin/shutdown",(images/"shutdown").read_bytes(),0o755)
        tools=Tree()
        for name, files in recipe["tools"].items():
            package=packages.taken[name]
            for i in files: tools.add("bin/"+Path(i).name,(package.root/i).read_bytes(),0o755)
            for lib,file in packages.libraries(package,[package.root/i for i in files]).items():
                if lib not in bootlibs: tools.add(f"lib/{lib}",file.read_bytes(),0o755)
        when=max(int(f.lstat().st_mtime) for p in packages.taken.values() for f in p.root.rglob("*"))
        (made/"initrd").write_bytes(tree.cpio(when))
        vm=next((kernel.root/"boot").glob("vmlinuz*")).read_bytes()
        (made/"vmlinuz").write_bytes(vm)
        elf=kernel_as_elf(vm)
        (made/"kernel").write_bytes(elf)
        maker=packages.taken[recipe["maker"]["package"]]; prog=maker.root/recipe["maker"]["program"]
        libs=packages.libraries(maker,[prog])
        (work/"lib").mkdir(); loader=None
        for lib,file in libs.items():
            if "/" in lib: loader=file
            else: (work/"lib"/lib).symlink_to(file)
        t=work/"tools"; t.mkdir(); tools.write(t)
        run([loader,"--library-path",work/"lib",prog,"-T",str(when),"-U","00000000-0000-0000-0000-000000000000","--all-root","-x-1",made/"tools",t],work,"tools disk")
        print(sorted(packages.taken)); print({f.name:f.stat().st_size for f in made.iterdir()})
        dest=home/"dev"; shutil.rmtree(dest,ignore_errors=True); made.rename(dest)
        return Image(dest/"kernel",dest/"initrd",dest/"tools",arch["cmdline"],"dev",dest/"manifest.json")
    finally:
        shutil.rmtree(work, ignore_errors=True)
