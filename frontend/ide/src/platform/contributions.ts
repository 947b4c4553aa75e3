// What the platform adds to the workbench, as `package.json` of an extension has it.

import { t } from './texts';

const command = (name: string, title: string, icon?: string) => ({
  command: `workroom.${name}`,
  title,
  category: 'Workroom',
  ...(icon ? { icon: `$(${icon})` } : {}),
});

const inScm = 'scmProvider == workroom';
const ours = 'resourceScheme == workroom';

/** Texts in the person's language. */
export function contributions() {
  return {
    commands: [
      command('commit', t('commit'), 'check'),
      command('amend', t('amend')),
      command('stage', t('stage'), 'add'),
      command('unstage', t('unstage'), 'remove'),
      command('discard', t('discardDraft'), 'discard'),
      command('resolve', t('resolve'), 'git-merge'),
      command('completeMerge', t('completeMerge'), 'check-all'),
      command('openChanges', t('openChanges'), 'diff'),
      command('branch', t('switchBranch'), 'git-branch'),
      command('createBranch', t('createBranch')),
      command('deleteBranch', t('deleteBranch')),
      command('publish', t('publish')),
      command('update', t('updateFromBranch'), 'repo-pull'),
      command('history', t('fileHistory'), 'history'),
      command('log', t('branchHistory'), 'history'),
      command('cherryPick', t('cherryPickCommand')),
      command('blame', t('toggleBlame')),
      command('build', t('build'), 'tools'),
      command('deploy', t('deploy'), 'rocket'),
      command('cancel', t('cancelRunning'), 'debug-stop'),
      command('jobLog', t('showLog'), 'output'),
      command('invoke', t('invoke'), 'play'),
      command('logs', t('followLog'), 'output'),
      command('openSite', t('openLiveSite'), 'globe'),
      command('refresh', t('refresh'), 'refresh'),
      command('download', t('downloadZip'), 'cloud-download'),
      command('colleagueDraft', t('showColleagueDraft')),
      command('sendNow', t('sendNow')),
      command('projects', t('projectPages'), 'home'),
    ],
    keybindings: [
      { command: 'workroom.build', key: 'ctrl+shift+b', mac: 'cmd+shift+b' },
      { command: 'workroom.deploy', key: 'ctrl+alt+d', mac: 'cmd+alt+d' },
      { command: 'workroom.invoke', key: 'ctrl+alt+i', mac: 'cmd+alt+i' },
      { command: 'workroom.logs', key: 'ctrl+alt+l', mac: 'cmd+alt+l' },
      { command: 'workroom.openSite', key: 'ctrl+alt+o', mac: 'cmd+alt+o' },
      { command: 'workroom.cancel', key: 'ctrl+alt+c', mac: 'cmd+alt+c' },
      { command: 'workroom.branch', key: 'ctrl+alt+b', mac: 'cmd+alt+b' },
    ],
    viewsContainers: {
      activitybar: [{ id: 'workroom', title: 'Workroom', icon: '$(rocket)' }],
      panel: [{ id: 'workroom-figures', title: t('requestsTitle'), icon: '$(graph)' }],
    },
    views: {
      workroom: [
        { id: 'workroom.environments', name: t('environments') },
        { id: 'workroom.jobs', name: t('jobs') },
        { id: 'workroom.people', name: t('people') },
      ],
      'workroom-figures': [{ id: 'workroom.figures', name: t('requestsTitle') }],
    },
    viewsWelcome: [
      { view: 'workroom.environments', contents: `${t('notDeployed')}\n[${t('deploy')}](command:workroom.deploy)` },
      { view: 'workroom.jobs', contents: `${t('noJobs')}\n[${t('build')}](command:workroom.build)` },
      { view: 'workroom.people', contents: t('onlyYou') },
      { view: 'workroom.figures', contents: `${t('noFigures')}\n[${t('followLog')}](command:workroom.logs)` },
    ],
    menus: {
      'scm/title': [
        { command: 'workroom.commit', when: inScm, group: 'navigation@1' },
        { command: 'workroom.build', when: inScm, group: 'navigation@2' },
        { command: 'workroom.deploy', when: inScm, group: 'navigation@3' },
        { command: 'workroom.amend', when: inScm, group: '1_commit@1' },
        { command: 'workroom.publish', when: inScm, group: '1_commit@2' },
        { command: 'workroom.update', when: inScm, group: '2_branch@1' },
        { command: 'workroom.branch', when: inScm, group: '2_branch@2' },
        { command: 'workroom.createBranch', when: inScm, group: '2_branch@3' },
        { command: 'workroom.deleteBranch', when: inScm, group: '2_branch@4' },
        { command: 'workroom.log', when: inScm, group: '3_history@1' },
        { command: 'workroom.cherryPick', when: inScm, group: '3_history@2' },
      ],
      'scm/resourceGroup/context': [
        { command: 'workroom.discard', when: `${inScm} && scmResourceGroup == changes`, group: 'inline@1' },
        { command: 'workroom.stage', when: `${inScm} && scmResourceGroup == changes`, group: 'inline@2' },
        { command: 'workroom.unstage', when: `${inScm} && scmResourceGroup == staged`, group: 'inline@2' },
      ],
      'scm/resourceState/context': [
        { command: 'workroom.discard', when: `${inScm} && scmResourceGroup == changes`, group: 'inline@1' },
        { command: 'workroom.stage', when: `${inScm} && scmResourceGroup == changes`, group: 'inline@2' },
        { command: 'workroom.unstage', when: `${inScm} && scmResourceGroup == staged`, group: 'inline@2' },
        { command: 'workroom.resolve', when: `${inScm} && scmResourceGroup == merge`, group: 'inline@2' },
      ],
      'explorer/context': [
        { command: 'workroom.history', when: `${ours} && !explorerResourceIsFolder`, group: '4_workroom@1' },
        { command: 'workroom.download', when: `${ours} && explorerResourceIsFolder`, group: '5b_importexport@1' },
      ],
      'editor/title': [
        { command: 'workroom.completeMerge', when: 'isMergeEditor', group: 'navigation@-1' },
        { command: 'workroom.openChanges', when: `${ours} && !isInDiffEditor`, group: 'navigation@1' },
        { command: 'workroom.history', when: ours, group: '1_workroom@1' },
        { command: 'workroom.blame', when: `${ours} && !isInDiffEditor`, group: '1_workroom@2' },
      ],
      'view/title': [
        { command: 'workroom.deploy', when: 'view == workroom.environments', group: 'navigation@1' },
        { command: 'workroom.refresh', when: 'view == workroom.environments', group: 'navigation@2' },
        { command: 'workroom.build', when: 'view == workroom.jobs', group: 'navigation@1' },
      ],
      'view/item/context': [
        { command: 'workroom.openSite', when: 'viewItem == site', group: 'inline@1' },
        { command: 'workroom.deploy', when: 'view == workroom.environments && viewItem != function', group: 'inline@2' },
        { command: 'workroom.invoke', when: 'viewItem == function', group: 'inline@1' },
        { command: 'workroom.logs', when: 'viewItem == function', group: 'inline@2' },
        { command: 'workroom.cancel', when: 'viewItem == running', group: 'inline@1' },
        { command: 'workroom.jobLog', when: 'view == workroom.jobs', group: 'inline@2' },
      ],
      commandPalette: [
        { command: 'workroom.jobLog', when: 'false' },
        { command: 'workroom.resolve', when: 'false' },
      ],
    },
  };
}
