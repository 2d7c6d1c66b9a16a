// Two entries in JupyterLab's Launcher, written by hand: no node, no build, nothing fetched from elsewhere.
// JupyterLab loads this file as a script, hands the packages that it shares to init(), and asks get() for the plugin.
// An entry writes a notebook of one cell into the folder that the file browser shows, unless it is there, and runs it.
(() => {
  "use strict";

  const NAME = "onlm_lab";
  const ENTRIES = [
    {
      id: "dashboards", label: "Dashboards", file: "onlm_dashboards.ipynb",
      caption: "onlm_lab: the pages of the studies in this folder",
      about: "# Dashboards\nThe pages of the studies in this folder. Research use only.",
      code: "from onlm_lab import lab\n\nlab.dashboards()",
      picture: "<path d='M3 3v18h18' fill='none'/><path d='M7 16l4-5 3 3 5-7' fill='none'/>",
    },
    {
      id: "lessons", label: "Lessons", file: "onlm_lessons.ipynb",
      caption: "onlm_lab: seven lessons for clinicians and students, on made-up data",
      about: "# Lessons\nOn MADE-UP DATA. Research use only.",
      code: "from onlm_lab import lab\n\nlab.lessons()",
      picture: "<path d='M12 6C9 4 6 4 3 5v13c3-1 6-1 9 1 3-2 6-2 9-1V5c-3-1-6-1-9 1zM12 6v13' fill='none'/>",
    },
  ];
  let packages = {};

  // What JupyterLab itself brings of a package, whichever version that is.
  async function shared(name) {
    const [version] = Object.values(packages[name] || {});
    if (!version) throw new Error(`${NAME}: this JupyterLab does not share ${name}`);
    return (await version.get())();
  }

  function notebook(entry) {
    const cell = (kind, id, source, more) => ({ cell_type: kind, id, metadata: {}, source, ...more });
    return {
      cells: [
        cell("markdown", "about", entry.about),
        cell("code", entry.id, entry.code, {
          execution_count: null, outputs: [], metadata: { jupyter: { source_hidden: true } },
        }),
      ],
      metadata: { kernelspec: { display_name: "Python 3", language: "python", name: "python3" } },
      nbformat: 4,
      nbformat_minor: 5,
    };
  }

  async function open(app, entry, folder) {
    const path = folder ? `${folder}/${entry.file}` : entry.file;
    const { contents } = app.serviceManager;
    const here = await contents.get(folder);
    if (!here.content.some((one) => one.name === entry.file)) {
      await contents.save(path, { type: "notebook", format: "json", content: notebook(entry) });
    }
    const panel = await app.commands.execute("docmanager:open", { path, factory: "Notebook" });
    await panel.context.ready;
    await panel.sessionContext.ready;
    await app.commands.execute("notebook:run-all-cells");
    return panel;
  }

  async function plugin() {
    const [{ ILauncher }, { ICommandPalette }, { LabIcon }] = await Promise.all(
      ["@jupyterlab/launcher", "@jupyterlab/apputils", "@jupyterlab/ui-components"].map(shared),
    );
    return {
      id: `${NAME}:launcher`,
      description: "Launcher entries of onlm_lab: dashboards and lessons.",
      autoStart: true,
      optional: [ILauncher, ICommandPalette],
      activate: (app, launcher, palette) => {
        ENTRIES.forEach((entry, rank) => {
          const command = `${NAME}:${entry.id}`;
          const svgstr = `<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24' width='16'>
            <g class='jp-icon3' stroke='#616161' stroke-width='2'>${entry.picture}</g></svg>`;
          const icon = new LabIcon({ name: command, svgstr });
          app.commands.addCommand(command, {
            label: (args) => (args.isPalette ? `onlm_lab: ${entry.label}` : entry.label),
            caption: entry.caption,
            icon: (args) => (args.isPalette ? undefined : icon),
            execute: (args) => open(app, entry, args.cwd || ""),
          });
          launcher?.add({ command, category: NAME, rank });
          palette?.addItem({ command, category: NAME, args: { isPalette: true } });
        });
      },
    };
  }

  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB[NAME] = {
    init: (scope) => { packages = scope; },
    get: async () => {
      const found = await plugin();
      return () => ({ __esModule: true, default: found });
    },
  };
})();
