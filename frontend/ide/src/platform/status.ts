// The status bar: branch, deploy, site, what waits to be sent, and whether the platform is heard.

import { connection } from '../../../app/src/state/socket';
import type { Bench } from './project';
import { t } from './texts';

export function showStatus({ vscode, open }: Bench): void {
  const { window, StatusBarAlignment, ThemeColor } = vscode;
  const item = (id: string, side: 'Left' | 'Right', priority: number, name: string, command?: string) => {
    const made = window.createStatusBarItem(`workroom.${id}`, StatusBarAlignment[side], priority);
    made.name = name;
    made.tooltip = name;
    made.command = command;
    return made;
  };
  const fixed = [
    { item: item('branch', 'Left', 100, t('switchBranch'), 'workroom.branch'), text: `$(git-branch) ${open.files.branch}` },
    { item: item('deploy', 'Left', 99, t('deploy'), 'workroom.deploy'), text: `$(rocket) ${t('deployShort')}` },
    { item: item('site', 'Left', 98, t('openLiveSite'), 'workroom.openSite'), text: `$(globe) ${t('siteShort')}` },
    { item: item('pages', 'Right', 100, t('projectPages'), 'workroom.projects'), text: '$(home) Workroom' },
  ];
  for (const { item: made, text } of fixed) {
    made.text = text;
    made.show();
  }

  const waiting = item('waiting', 'Left', 97, t('sendNow'), 'workroom.sendNow');
  const showWaiting = () => {
    const entries = open.files.outbox.list();
    const conflicts = entries.filter(({ state }) => state === 'conflict').length;
    const away = entries.filter(({ state }) => state === 'waiting').length;
    waiting.text = conflicts > 0 ? `$(git-merge) ${t('inConflict', { count: conflicts })}` : `$(cloud-offline) ${t('waitingToSend', { count: away })}`;
    waiting.tooltip = conflicts > 0 ? t('needsMerge') : t('away');
    waiting.backgroundColor = new ThemeColor('statusBarItem.warningBackground');
    if (conflicts + away > 0) waiting.show();
    else waiting.hide();
  };
  open.files.outbox.onChange(showWaiting);
  showWaiting();

  const live = item('live', 'Right', 99, t('live'));
  connection.subscribe((state) => {
    live.text = state === 'open' ? '$(broadcast)' : '$(sync~spin)';
    live.tooltip = state === 'open' ? t('live') : t('notLive');
    live.show();
  });
}
